"""Every snippet of the documentation is run, and everything it names is there.

Python is run against a cluster of three; configuration is loaded; commands are run where they only ask, and
otherwise read by the command line itself, so that a flag that does not exist fails here and not with a
reader.  Paths, tests, knobs and variables that are named have to exist.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from agreed.backends import errors as backend_errors
from agreed.backends.etcd import ETCD
from agreed.backends.zookeeper import backend as zookeeper
from agreed.cli.main import agreed
from agreed.cli.playground import Playground
from agreed.client import errors as client_errors
from agreed.coordination.client import Client
from agreed.errors import AgreedError
from agreed.node.config import Config
from agreed.node.loading import OF_CLIENTS, load
from agreed.recipes import errors as recipe_errors
from tests.acceptance.etcd import python_etcd3
from tests.acceptance.etcd.ensemble import NO_ETCD, packaged
from tests.peers import WHY_MISSING

ROOT = Path(__file__).resolve().parent.parent

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


class Block(NamedTuple):
    """A fenced block: where it stands, what it is, what it holds."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if match[1] in languages:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Block(page.name, line, match[1], match[2]))
    return found


def commands() -> list[tuple[Block, str]]:
    found = []
    for block in blocks("console"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                found.append((block, line.removeprefix("$ ")))
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with Playground(tmp_path_factory.mktemp("documented"), etcd=True) as playground:
        playground.start_all()
        playground.wait_until_serving(60)
        yield playground


POSTGRESQL = "127.0.0.1:5432"
"""Where the pages have their databases `orders` and `billing`."""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of a real one, with what the pages have in it."""
    if reason := WHY_MISSING["postgresql"]():
        pytest.skip(reason)
    import psycopg

    from tests.transactions.postgresql import PostgreSQL

    with PostgreSQL(in_memory=True) as server:
        for database, statement in (
            ("postgres", "CREATE DATABASE orders"),
            ("postgres", "CREATE DATABASE billing"),
            ("orders", "CREATE TABLE stock AS SELECT 'chair' AS item, 9 AS n"),
            ("billing", "CREATE TABLE invoice (customer text, price int)"),
        ):
            with psycopg.connect(server.dsn_of(database), autocommit=True) as connection:
                connection.execute(statement)
        yield f"127.0.0.1:{server.port}"


def with_real_addresses(text: str, cluster: Playground) -> str:
    """The usual ports replaced with those on which this cluster happens to be."""
    for number, place in enumerate(cluster.places.values()):
        text = text.replace(f"127.0.0.1:{2181 + number}", place.client_address)
        text = text.replace(f"127.0.0.1:{7421 + number}", place.peer_address)
        assert place.etcd_address is not None
        text = text.replace(f"127.0.0.1:{2379 + number}", place.etcd_address)
        text = text.replace(f"port={2379 + number}", f"port={place.etcd_address.rpartition(':')[2]}")
    return text


def test_a_block_says_what_it_is() -> None:
    for block in blocks("", "text"):
        asked = re.search(r"^(\$ |import |from \w+ import )", block.text, re.MULTILINE)
        assert not asked, f"{block}: name its language, so that it is run: python, console or toml"
    known = {"python", "console", "toml", "text", "ini"}
    for page in PAGES:
        for match in re.finditer(r"^```(\w+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert match[1] in known, f"{page.name}: nothing here runs {match[1]}"


def beside_python_etcd3(text: str) -> tuple[str, str]:
    """Its interpreter and the program: it wants a protobuf of its own, so it has an environment of its own;
    what is here is put behind that."""
    first, behind = [str(python_etcd3.install())], [str(ROOT / "src"), *sys.path]
    paths = f"import sys; sys.path[:0] = {first!r}; sys.path += {behind!r}"
    return str(python_etcd3.PLACE / "venv" / "bin" / "python"), f"{paths}\n{text}"


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_runs(
    block: Block, cluster: Playground, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    text = with_real_addresses(block.text, cluster)
    if POSTGRESQL in text:
        text = text.replace(POSTGRESQL, request.getfixturevalue("postgresql"))
    interpreter = sys.executable
    if "import etcd3" in text:
        interpreter, text = beside_python_etcd3(text)
    ended = subprocess.run(
        [interpreter, "-c", text],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_configuration_is_taken(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "agreed.toml"
    file.write_text(block.text, encoding="utf-8")
    load({}, {}, file)


def reads_well(arguments: list[str]) -> None:
    """Let the command line read these arguments without doing anything; raises what it would tell."""
    command: click.Command = agreed
    context = click.Context(agreed, info_name="agreed")
    while isinstance(command, click.Group):
        name, command, arguments = command.resolve_command(context, arguments)  # type: ignore[assignment]
        assert command is not None, f"no command is called {name}"
        if not isinstance(command, click.Group):
            context = command.make_context(name, list(arguments), parent=context)
    if command.name == "serve":
        flags = {key: value for key, value in context.params.items() if key not in ("file", "fake", "port")}
        load(flags, {})


def ends_well(command: list[str]) -> None:
    """Once more where it does not: nodes that stand still for a moment are told as such."""
    deadline = time.monotonic() + 60
    while True:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if ended.returncode == 0:
            return
        assert time.monotonic() < deadline, ended.stdout + ended.stderr


@pytest.mark.parametrize(("block", "command"), commands(), ids=lambda value: str(value))
def test_a_command_is_what_it_says(block: Block, command: str, cluster: Playground) -> None:
    words = shlex.split(with_real_addresses(command, cluster))
    program = Path(words[0]).name
    if program == "pip":
        assert words[1:] == ["install", "."], "nothing else is known to be there"
    elif program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif program == "agreed":
        reads_well(words[1:])
        if words[1] in ("status", "version", "transfer-leader"):
            ends_well([sys.executable, "-m", "agreed", *words[1:]])
    elif program == "etcdctl":
        if (programs := packaged()) is None or programs.etcdctl is None:
            pytest.skip(NO_ETCD)
        ends_well([programs.etcdctl, *words[1:]])
    else:
        raise AssertionError(f"nothing here knows what {program} does")


# --- what the pages name ----------------------------------------------------------------------------------


def spans() -> list[tuple[str, str]]:
    """Everything between single backquotes, with the page on which it stands."""
    found = set()
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        found |= {(page.name, span) for span in re.findall(r"`([^`\n]+)`", text)}
    return sorted(found)


@pytest.mark.parametrize(
    ("page", "path"), [each for each in spans() if re.match(r"(tests|src|docs|tools|demo|bench)/", each[1])]
)
def test_a_path_that_is_named_is_there(page: str, path: str) -> None:
    file, _, function = path.partition("::")
    assert (ROOT / file).exists(), f"{page} names {file}"
    if function:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^\s*def {re.escape(function)}\b", text, re.MULTILINE), f"{page}: {function}"


@pytest.mark.parametrize(("page", "flag"), [each for each in spans() if re.match(r"--\w", each[1])])
def test_a_flag_that_is_named_is_there(page: str, flag: str) -> None:
    name = flag.split()[0].split("=")[0]
    if name.removeprefix("--").removeprefix("no-").replace("-", "_") in Config.__dataclass_fields__:
        return
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "bench").rglob("*.py"), *(ROOT / "demo").rglob("*.py")]
    declared = re.compile(rf'"{re.escape(name)}"')
    assert any(declared.search(source.read_text(encoding="utf-8")) for source in sources), f"{page}: {name}"


@pytest.mark.parametrize(("page", "variable"), [each for each in spans() if each[1].startswith("AGREED_")])
def test_a_variable_that_is_named_is_there(page: str, variable: str) -> None:
    name = variable.split("=")[0].removeprefix("AGREED_").lower()
    known = name in Config.__dataclass_fields__ or name in ("config", "*")
    assert known or variable.split("=")[0] in OF_CLIENTS, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """The names by which headings are linked to, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_into_a_page_leads_to_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            there = page.parent / target if target else page
            assert anchor in anchors(there), f"{page.name}: {target}#{anchor}"


def test_the_table_of_knobs_is_the_present_one() -> None:
    script = ROOT / "tools" / "write_reference.py"
    location = importlib.util.spec_from_file_location("write_reference", script)
    assert location is not None
    assert location.loader is not None
    tool = importlib.util.module_from_spec(location)
    location.loader.exec_module(tool)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == tool.with_reference(text), "run tools/write_reference.py"
    outdated = text.replace("| `heartbeat_ms` | ms | `100`", "| `heartbeat_ms` | ms | `7`")
    assert outdated != tool.with_reference(outdated)


def test_help_of_make_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    told = set(re.findall(r"^#   make (\w+)", makefile, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    assert told == phony


def test_what_is_run_before_a_change_is_taken_in_is_executable() -> None:
    for script in (ROOT / ".ci" / "run", ROOT / "tools" / "peers.sh"):
        assert os.access(script, os.X_OK), f"{script.name} is not executable"


# --- tables that stand for something in the code ----------------------------------------------------------


FAMILIES = ("AgreedError", "ClientError", "Refused", "Unanswered")
"""Nobody raises these; their members are."""


def errors_of_the_client() -> list[str]:
    modules = (recipe_errors, client_errors, backend_errors)
    classes = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    return sorted({each.__name__ for each in classes if issubclass(each, AgreedError)} - {*FAMILIES})


@pytest.mark.parametrize("error", errors_of_the_client())
def test_every_error_has_its_cause_and_its_remedy(error: str) -> None:
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    assert re.search(rf"^\|.*`{error}`.*\|.+\|.+\|$", page, re.MULTILINE), error


OUR_OWN_BUSINESS = {
    "AtomicCommitError": "a family",
    "BroadcastError": "a family",
    "Compacted": "an answer of etcd, which a recipe turns into a gap",
    "CallFailed": "an answer of etcd, which a backend turns into one of ours",
    "CopyFailed": "said by `agreed copy`",
    "CannotHold": "said by `agreed copy`",
    "NoCluster": "said by `agreed simulate`",
    "WardenGone": "said by `agreed lock`",
    "NotAsked": "of the clients that torture",
    "ConnectionFault": "of HTTP/2, where it becomes a GOAWAY",
    "TooManyWatches": "of a server, where it becomes an answer",
}
"""Errors that no user's program meets, and what becomes of them."""


def errors_by_name() -> dict[str, Path]:
    """All that are `AgreedError`s by their source, also of modules whose frameworks are not installed."""
    known: dict[str, Path] = {"AgreedError": Path()}
    classes = [
        (node.name, {ast.unparse(base).rpartition(".")[2] for base in node.bases}, file)
        for file in sorted((ROOT / "src").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    before = 0
    while before != len(known):
        before = len(known)
        known |= {name: file for name, bases, file in classes if name not in known and bases & known.keys()}
    return known


def test_no_error_is_left_out() -> None:
    rows = "\n".join(
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("client.md", "errors.md")
    )
    found = errors_by_name()
    assert OUR_OWN_BUSINESS.keys() <= found.keys(), "some of these are gone"
    untold = {
        f"{name} ({file.relative_to(ROOT)})"
        for name, file in found.items()
        if name not in OUR_OWN_BUSINESS and name not in FAMILIES
        if not re.search(rf"^\|.*`{name}`.*\|.+\|.+\|$", rows, re.MULTILINE)
    }
    assert not untold, "docs/errors.md tells their cause and what to do"


NO_RECIPES = ("capabilities", "close", "transaction", "transactional")


@pytest.mark.parametrize("name", [each for each in vars(Client) if each[0] != "_" and each not in NO_RECIPES])
def test_every_recipe_is_among_those_to_choose_from(name: str) -> None:
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    assert re.search(rf"^\|[^|]*\|[^|]*`client\.{name}\b.*\|.+\|$", page, re.MULTILINE), name


@pytest.mark.parametrize(
    ("scheme", "value_bytes", "changes"),
    [
        ("etcd", ETCD.value_bytes, ETCD.changes),
        *(
            (each, zookeeper.VALUE_BYTES, zookeeper.CHANGES)
            for each in ("agreed", "zk", "memory", "file", "node")
        ),
    ],
)
def test_what_a_service_takes_is_what_the_table_says(scheme: str, value_bytes: int, changes: int) -> None:
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{scheme}://.*\| ([\d,]+) \| (\d+) \|$", page, re.MULTILINE)
    assert row is not None
    assert row.groups() == (f"{value_bytes:,}", str(changes))
