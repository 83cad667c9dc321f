"""The demonstration ends well where nothing is lost, and badly where something is."""
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

DEMO = Path(__file__).resolve().parent.parent.parent / "demo"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(DEMO))
    import cluster_demo

    yield cluster_demo
    for name in ("cluster_demo", "recipes", "screen", "writers"):
        sys.modules.pop(name, None)


def test_a_killed_leader_loses_nothing() -> None:
    ended = subprocess.run(
        [sys.executable, str(DEMO / "cluster_demo.py")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "nothing was lost" in ended.stdout
    assert "✗" not in ended.stdout
    assert "\x1b" not in ended.stdout, "colours in a pipe"


def test_a_write_that_is_not_there_is_found_to_be_missing(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    writes = [demo.Acknowledged("client0-000000", 0.0, 0.1), demo.Acknowledged("client0-000001", 0.1, 0.2)]
    monkeypatch.setattr(demo, "missing_on", lambda cluster, name, writes: [writes[1].name])
    screen = demo.Screen()
    assert demo.check_all_there(screen, None, ["n1", "n2"], writes) == 1
    assert len(screen.failures) == 2
    screen.summary([], "something was lost")
    assert "did not hold: n1 has every acknowledged write" in capsys.readouterr().out


def test_the_next_write_is_one_that_was_asked_for_after_the_kill(demo: ModuleType) -> None:
    writers = object.__new__(demo.Writers)
    writers.acknowledged = [
        demo.Acknowledged("before", 0.0, 1.2),
        demo.Acknowledged("late", 1.1, 3.0),
        demo.Acknowledged("first", 1.3, 2.5),
    ]
    assert writers.first_after(1.0).name == "first"
    assert writers.first_after(2.0) is None
    assert writers.per_slot(1.0, 3.0, 1.0) == [1, 1]
