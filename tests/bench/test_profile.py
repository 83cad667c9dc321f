"""From stacks to a table of where the time goes."""
from __future__ import annotations

import pytest
from bench.profile import from_stacks, module_of


@pytest.mark.parametrize(
    ("frame", "module"),
    [
        ("step (/here/src/agreed/consensus/raft/leader.py:12)", "consensus/raft/leader.py"),
        ("step (/v/lib/python3.11/site-packages/agreed/store/tree.py:9)", "store/tree.py"),
        ("check (/agreed/src/agreed/errors.py:3)", "errors.py"),
        ("add (/v/lib/python3.11/site-packages/sortedcontainers/sortedlist.py:1)", "sortedcontainers"),
        ("run (/usr/lib/python3.11/asyncio/runners.py:190)", "python: runners.py"),
        ("<built-in method posix.fdatasync>", "<built-in method posix.fdatasync>"),
    ],
)
def test_which_module_a_frame_belongs_to(frame: str, module: str) -> None:
    assert module_of(frame) == module


def test_own_time_goes_to_the_innermost_frame_and_each_module_counts_once_below() -> None:
    shell, tree = "run (/x/agreed/node/shell.py:1)", "get (/x/agreed/store/tree.py:3)"
    stacks = [
        f"{shell};step (/x/agreed/replica/replica.py:2);{tree} 30",
        f"{shell};{tree};{tree} 10",
        f"{shell} 60",
    ]
    found = from_stacks("\n".join(stacks))
    assert found.own == {"node/shell.py": 0.6, "store/tree.py": 0.4}
    assert found.functions == {"node/shell.py: run": 0.6, "store/tree.py: get": 0.4}
    assert found.below == {"node/shell.py": 1.0, "store/tree.py": 0.4, "replica/replica.py": 0.3}
