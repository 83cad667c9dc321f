"""The tests that the pages show, run by a pytest of their own; it finds the fixtures as any user's does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"

PAGES = (DOCS / "testing.md", DOCS / "howto" / "test-expired-sessions.md")


def test_the_tests_that_the_pages_show_pass(tmp_path: Path) -> None:
    shown = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if "\ndef test_" in block:
                shown += 1
                (tmp_path / f"test_{shown}.py").write_text(block, encoding="utf-8")
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{shown} passed" in told.stdout
