"""Every snippet of the documentation is run, and everything it names is there.

Python is run against a cluster of three; configuration is loaded; commands are run where they only ask, and
otherwise read by the command line itself, so that a flag that does not exist fails here and not with a
reader.  Paths, tests, knobs and variables that are named have to exist.
"""
from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from agreed.cli.main import agreed
from agreed.cli.playground import Playground
from agreed.node.config import Config, load

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
    with Playground(tmp_path_factory.mktemp("documented")) as playground:
        playground.start_all()
        playground.wait_until_serving(60)
        yield playground


def with_real_addresses(text: str, cluster: Playground) -> str:
    """The usual ports replaced with those on which this cluster happens to be."""
    for number, place in enumerate(cluster.places.values()):
        text = text.replace(f"127.0.0.1:{2181 + number}", place.client_address)
        text = text.replace(f"127.0.0.1:{7421 + number}", place.peer_address)
    return text


def test_a_block_says_what_it_is() -> None:
    for block in blocks("", "text"):
        asked = re.search(r"^(\$ |import |from \w+ import )", block.text, re.MULTILINE)
        assert not asked, f"{block}: name its language, so that it is run: python, console or toml"
    known = {"python", "console", "toml", "text", "ini"}
    for page in PAGES:
        for match in re.finditer(r"^```(\w+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert match[1] in known, f"{page.name}: nothing here runs {match[1]}"


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_runs(block: Block, cluster: Playground, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", with_real_addresses(block.text, cluster)],
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
        flags = {key: value for key, value in context.params.items() if key != "file"}
        load(flags, {})


@pytest.mark.parametrize(("block", "command"), commands(), ids=lambda value: str(value))
def test_a_command_is_what_it_says(block: Block, command: str, cluster: Playground) -> None:
    words = shlex.split(with_real_addresses(command, cluster))
    program = Path(words[0]).name
    if program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif program == "agreed":
        reads_well(words[1:])
        if words[1] in ("status", "version", "transfer-leader"):
            ended = subprocess.run(
                [sys.executable, "-m", "agreed", *words[1:]],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ended.returncode == 0, ended.stdout + ended.stderr
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
    assert name in Config.__dataclass_fields__ or name in ("config", "*"), page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


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
