"""Who imports whom, and how the code looks, as tests: each rule is run, and each is shown to bite.

The contracts stand in `.importlinter`.  To show that they bite, the package is copied aside, one line that
must not be there is put in, and the contract of that name has to break.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "agreed"

MOST_LINES_OF_A_FILE = 500
MOST_LINES_OF_A_FUNCTION = 70

BANNED_MODULES = {"utils", "util", "common", "helpers", "helper", "core", "base", "misc"}

WORDS_OF_THE_PLAN = re.compile(r"\b(house|room|floor|river)s?\b", re.IGNORECASE)
"""Pictures in which the package was planned; the code and its documentation say package, module and layer."""

ABSOLUTE_PATHS = re.compile(r"(?<![\w.])/(work|home|root)/")
"""Of somebody's own machine."""


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts on the package below `directory`."""
    program = "import sys; from importlinter.cli import lint_imports_command as lint; lint()"
    return subprocess.run(
        [sys.executable, "-c", program, "--config", str(ROOT / ".importlinter"), "--no-cache", "--no-logo"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_contract_is_kept() -> None:
    told = lint(ROOT / "src")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "0 broken" in told.stdout


LAYERS = "Each package stands on those below it, and on none beside it"
PURE = "The pure packages touch no socket, file, thread, clock or dice"
WIRES = "Wire protocols do not know each other"
ZOOKEEPER = "What clients say does not depend on how we agree"
SIMULATOR = "The simulator has no clock, socket, thread or dice but those of its world"

VIOLATIONS = [
    ("consensus/machine.py", "import agreed.wire.peer.messages", LAYERS),
    ("consensus/machine.py", "import agreed.store.commands", LAYERS),
    ("store/commands.py", "import agreed.consensus.machine", LAYERS),
    ("wire/peer/messages.py", "import agreed.replica.reads", LAYERS),
    ("types.py", "import agreed.errors", LAYERS),
    ("node/config.py", "import agreed.cli.main", LAYERS),
    ("replica/reads.py", "import agreed.disk.files", LAYERS),
    ("recipes/election.py", "import agreed.integrations.candidacy", LAYERS),
    ("unplaced.py", "import agreed.types", LAYERS),
    ("clocks/version.py", "import agreed.store.commands", LAYERS),
    ("registers/quorum.py", "import agreed.ordering.machine", LAYERS),
    ("clocks/hybrid.py", "import time", PURE),
    ("ordering/causal.py", "import random", PURE),
    ("consensus/machine.py", "import time", PURE),
    ("consensus/raft/messages.py", "def draw():\n    from random import random\n    return random()", PURE),
    ("store/commands.py", "from os import path", PURE),
    ("wire/peer/codec.py", "import asyncio.streams", PURE),
    ("replica/reads.py", "from datetime import datetime", PURE),
    ("wire/peer/codec.py", "import agreed.wire.zookeeper", WIRES),
    ("wire/zookeeper/__init__.py", "import agreed.consensus.members", ZOOKEEPER),
    ("sim/world.py", "import time", SIMULATOR),
    ("sim/network.py", "from asyncio import sleep", SIMULATOR),
]


@pytest.fixture(scope="module")
def a_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("violating")
    shutil.copytree(SOURCE, directory / "agreed", ignore=shutil.ignore_patterns("__pycache__"))
    return directory


@pytest.mark.parametrize(("file", "line", "contract"), VIOLATIONS)
def test_each_contract_bites(a_copy: Path, file: str, line: str, contract: str) -> None:
    path = a_copy / "agreed" / file
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        told = lint(a_copy)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")
    assert told.returncode != 0
    assert f"{contract} BROKEN" in told.stdout, told.stdout + told.stderr


# --- how the code looks -----------------------------------------------------------------------------------


def tracked(*suffixes: str) -> Iterator[Path]:
    """The files of the project, without what is made or fetched."""
    for directory in ("src", "tests", "demo", "bench", "docs", "tools", ".ci"):
        for path in sorted((ROOT / directory).rglob("*")):
            if path.is_file() and path.suffix in suffixes and "__pycache__" not in path.parts:
                yield path
    for path in sorted(ROOT.iterdir()):
        if path.is_file() and path.suffix in suffixes:
            yield path


def named(paths: Iterator[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


PYTHON = named(tracked(".py"))
PROSE = named(tracked(".py", ".md", ".toml", ".sh", ".txt"))


def test_the_rules_below_look_at_something() -> None:
    assert "src/agreed/types.py" in PYTHON
    assert "README.md" in PROSE


@pytest.mark.parametrize("name", PYTHON)
def test_a_file_opens_by_teaching(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    if text.strip() or name.startswith("src/"):
        assert ast.get_docstring(ast.parse(text)), "no docstring at its head"


@pytest.mark.parametrize("name", [name for name in PYTHON if name.startswith("src/")])
def test_files_and_functions_are_small(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES_OF_A_FILE, "split it by idea"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MOST_LINES_OF_A_FUNCTION, f"{node.name}: {length} lines"


@pytest.mark.parametrize("name", [name for name in PYTHON if name.startswith("src/")])
def test_only_who_meets_the_real_world_awaits(name: str) -> None:
    waiting = (
        "node",
        "cli",
        "torture",
        "client",
        "broadcast",
        "transactions",
        "backends",
        "recipes",
        "coordination",
        "embedded",
        "testing",
        "integrations",
    )
    if name.startswith(tuple(f"src/agreed/{package}/" for package in waiting)):
        return  # torture is real processes, and clients that wait for them
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    assert not any(isinstance(node, ast.AsyncFunctionDef | ast.Await) for node in ast.walk(tree))


def test_no_module_is_named_after_nothing() -> None:
    found = {path for path in SOURCE.rglob("*") if path.stem in BANNED_MODULES}
    assert not found, "name it after what a textbook calls the thing"


@pytest.mark.parametrize("name", [name for name in PROSE if name != "tests/test_architecture.py"])
def test_no_file_speaks_of_the_plan_or_of_somebodys_machine(name: str) -> None:
    for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), start=1):
        assert not WORDS_OF_THE_PLAN.search(line), f"line {number}: {line.strip()}"
        assert not ABSOLUTE_PATHS.search(line), f"line {number}: {line.strip()}"
