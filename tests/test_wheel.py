"""What is installed works where nothing else is; it is small, and costs nothing before it is asked for.

`tools/check_wheel.py` measures times as well, and judges them: that is for a machine that does nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tools import check_wheel
from tools.check_wheel import CannotInstall, Report

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.timeout(1800)
def test_who_installs_it_has_all_that_is_shown_and_little_else(tmp_path: Path) -> None:
    """Its commands, the example of README.md and the fixtures have been used by now."""
    try:
        report = check_wheel.check(tmp_path, runs=1)
    except CannotInstall as reason:
        pytest.skip(f"nothing can be installed here: {reason}")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    brought = set(report.sizes) - {"agreed"}
    assert len(brought) <= len(declared) + 2, f"what is declared brings much with it: {sorted(brought)}"
    assert sum(report.sizes.values()) <= check_wheel.INSTALLED_BYTES, str(report)


def test_importing_it_loads_almost_nothing() -> None:
    """Not even an event loop: a program that may never need a lock imports it, too."""
    program = "import sys; import agreed; print({'asyncio', 'msgspec', 'ssl', 'uvloop'} & {*sys.modules})"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == "set()"


def test_what_is_missed_is_said() -> None:
    times = dict.fromkeys(check_wheel.IMPORTS, 1.0)
    assert Report(1, {"agreed": 1}, times).missed() == []
    assert len(Report(1, {"agreed": 10**9}, times | {"import agreed": 200.0}).missed()) == 2
