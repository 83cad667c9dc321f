"""Histories and verdicts to draw, small enough to be seen through."""
from __future__ import annotations

from agreed.check.history import Fault, History, Operation, Status, history
from agreed.check.verdict import Dependency, Finding, Outcome, Verdict, Witness

MS = 1_000_000


def operation(
    index: int,
    process: int | str,
    function: str,
    argument: object = None,
    result: object = None,
    called: int = 0,
    returned: int | None = None,
    status: Status = Status.OK,
    key: str | None = None,
) -> Operation:
    """`returned` None: never answered."""
    if returned is None:
        status = Status.INFO
    return Operation(index, process, function, argument, result, called, returned, status, key)


STALE = history(
    [
        operation(0, 0, "write", 1, None, 0 * MS, 10 * MS),
        operation(1, 1, "write", 2, None, 12 * MS, 20 * MS),
        operation(2, 2, "write", 3, None, 14 * MS),
        operation(3, 0, "read", None, 1, 25 * MS, 30 * MS),
        operation(4, 1, "cas", [7, 8], None, 26 * MS, 29 * MS, Status.FAIL),
        operation(5, 3, "read", None, 2, 40 * MS, 50 * MS),
    ],
    [Fault("partition", 8 * MS, 22 * MS, "n1 | n2 n3"), Fault("kill n3", 45 * MS, None)],
)

STALE_READ = Verdict(
    "linearizable register",
    Outcome.VIOLATED,
    "no order explains it",
    findings=[
        Finding(
            "not linearizable",
            (1, 3),
            ("everything before operation 3 leaves the state 2", "operation 3 read 1"),
            attempts=[Witness(None, (0, 1), ("1", "2")), Witness(None, (0, 1, 2), ("1", "2", "3"))],
            culprit=3,
        )
    ],
    steps=12,
)

EXPLAINED: tuple[History, Verdict] = (
    history(
        [
            operation(0, "a", "write", 1, None, 0, 10),
            operation(1, "b", "read", None, 1, 5, 20),
            operation(2, "a", "write", 2, None, 12),
        ]
    ),
    Verdict("linearizable register", Outcome.HOLDS, witnesses=[Witness(None, (0, 1), ("1", "1"))]),
)

CIRCLE: tuple[History, Verdict] = (
    history(
        [
            operation(0, 0, "txn", [["append", "x", 1], ["r", "y", None]],
                      [["append", "x", 1], ["r", "y", [2]]], 0, 10),
            operation(1, 1, "txn", [["append", "y", 2], ["r", "x", None]],
                      [["append", "y", 2], ["r", "x", [1]]], 1, 11),
        ]
    ),
    Verdict(
        "serializable",
        Outcome.VIOLATED,
        findings=[
            Finding(
                "G1c",
                (0, 1),
                (
                    "T1 is operation 0.",
                    "T2 is operation 1.",
                    "T1 comes before T2: it wrote 1 to x, and T2 read that.",
                    "T2 comes before T1: it wrote 2 to y, and T1 read that.",
                    "So each of them comes before the next.",
                ),
                key="x",
                cycle=[Dependency(0, 1, "wr", "x"), Dependency(1, 0, "wr", "y")],
            )
        ],
        ruled_out=["read-committed"],
        also_ruled_out=["serializable"],
    ),
)  # fmt: skip


def keyed() -> tuple[History, Verdict]:
    """Three registers: one is explained, one cannot be, one was not looked at any more."""
    operations = []
    for number, key in enumerate(("good", "bad", "ugly")):
        operations.append(operation(2 * number, f"{key} writer", "write", 1, None, 0, 10, key=key))
        operations.append(operation(2 * number + 1, f"{key} reader", "read", None, 1, 20, 30, key=key))
    return history(operations), Verdict(
        "linearizable register",
        Outcome.VIOLATED,
        witnesses=[Witness("good", (0, 1), ("1", "1"))],
        findings=[Finding("not linearizable", (3,), ("it was never written",), key="bad")],
    )
