"""What a start and a reset cost is measured and printed."""

from __future__ import annotations

from bench.testing import main
from click.testing import CliRunner


def test_each_case_has_a_line() -> None:
    told = CliRunner().invoke(main, ["--rounds", "1"])
    assert told.exit_code == 0, told.output
    assert [line[:24].strip() for line in told.output.splitlines()] == [
        "a Python program",
        "a session of kazoo",
        "loading the modules",
        "... of the processor",
        "the first server",
        "one more for ZooKeeper",
        "one more for etcd",
        "a reset",
        "an hour passes",
    ]
