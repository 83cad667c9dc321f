"""Small histories on one line each, for tests of consistency models, and the gallery of those that part them.

    x=1 y?2 | y=2 x?-

Sessions are parted by `|`.  `x=1` writes, `x?1` reads, `x?-` reads the initial value.  A write may end in `!`
(never answered) or in `~` (surely failed).  Sessions take turns, so that operation n of a session is called
after operation n - 1 of every other; real time matters to linearizability only.

The histories of the gallery are written from the theory: each model is parted from the next stronger one by
at least one of them, and each bad pattern is in at least one.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agreed.check.history import History, Operation, Status, history

WORD = re.compile(r"(\w+)([=?])(-?\w*)([!~]?)")
ENDINGS = {"": Status.OK, "!": Status.INFO, "~": Status.FAIL}


def parsed(line: str) -> History:
    operations: list[Operation] = []
    for process, session in enumerate(line.split("|")):
        for place, word in enumerate(session.split()):
            found = WORD.fullmatch(word)
            assert found is not None, word
            key, what, text, ending = found.groups()
            value = None if text == "-" else int(text)
            status = ENDINGS[ending]
            operations.append(
                Operation(
                    index=len(operations),
                    process=process,
                    function="write" if what == "=" else "read",
                    argument=value if what == "=" else None,
                    result=value if what == "?" else None,
                    called=10 * place + process,
                    returned=None if status is Status.INFO else 10 * place + process + 5,
                    status=status,
                    key=key,
                )
            )
    return history(operations)


@dataclass(frozen=True)
class Litmus:
    name: str
    line: str
    allowed: str
    """The models of which it is a history: of SC CC CCv CM PRAM."""
    pattern: str = ""
    """Of the first model that refuses it, in the order CC, CCv, CM, PRAM."""

    def allows(self, kind: str) -> bool:
        return kind in self.allowed.split()


EVERY = "SC CC CCv CM PRAM"
WEAK = "CC CCv CM PRAM"

TWO_SATISFIABILITY = (
    "x=1 | x=2 | y=1 | y=2 | z=1 | z=2 | y?1 x?1 | x?2 y?2 | x?2 y?1 | y?2 x?1 "
    "| z?1 x?2 | x?1 z?2 | x?1 z?1 | z?2 x?2"
)
"""Writes of x, y, z stand for three variables, one for each order of the two; pairs of reads for implications
between them: x => y => not x => z => x.  No choice for x will do, but no single step shows it."""

GALLERY: Sequence[Litmus] = (
    # What everybody calls by name.
    Litmus("store buffer", "x=1 y?- | y=1 x?-", WEAK),
    Litmus("independent reads of independent writes", "x=1 | y=1 | x?1 y?- | y?1 x?-", WEAK),
    Litmus("message passing", "x=1 y=1 | y?1 x?1", EVERY),
    Litmus("message passing, stale", "x=1 y=1 | y?1 x?-", "", "WriteCOInitRead"),
    Litmus("message passing, overwritten", "x=1 x=2 y=1 | y?1 x?1", "", "WriteCORead"),
    Litmus("write to read causality", "x=1 | x?1 y=1 | y?1 x?-", "PRAM", "WriteCOInitRead"),
    Litmus("write to read causality, kept", "x=1 | x?1 y=1 | y?1 x?1", EVERY),
    Litmus("coherence of reads", "x=1 | x=2 | x?1 x?2 | x?2 x?1", "CC CM PRAM", "CyclicCF"),
    Litmus("load buffer", "x?1 y=1 | y?1 x=1", "PRAM", "CyclicCO"),
    Litmus("two plus two writes", "x=1 y=2 x?1 y?1 | y=1 x=2 y?2 x?2", "CC CM PRAM", "CyclicCF"),
    # The weak orders, one by one (Bouajjani et al., figure 3: CM and CCv are not comparable).
    Litmus("CM, not CCv", "x=1 x?2 | x=2 x?1", "CC CM PRAM", "CyclicCF"),
    Litmus("CCv, not CM", "z=1 x=1 y=1 | x=2 z?- y?1 x?2", "CC CCv", "WriteHBInitRead"),
    Litmus("CM and CCv, not SC", "x=1 y?- y=1 x?1 | x=2 y?- y=2 x?2", WEAK),
    Litmus("CC, neither CM nor CCv", "x=1 x?2 | x=2 x?1 x?2", "CC", "CyclicCF"),
    Litmus("not CC, but PRAM", "x=1 y=1 | y?1 x=2 | x?2 x?1", "PRAM", "WriteCORead"),
    # One client.
    Litmus("reads its write", "x=1 x?1", EVERY),
    Litmus("does not read its write", "x=1 x?-", "", "WriteCOInitRead"),
    Litmus("reads an older write of its own", "x=1 x=2 x?1", "", "WriteCORead"),
    Litmus("reads what it will write", "x?1 x=1", "", "CyclicCO"),
    Litmus("reads what nobody wrote", "x?7", "", "ThinAirRead"),
    Litmus("reads go back", "x=1 x=2 | x?2 x?1", "", "WriteCORead"),
    Litmus("reads go back to the beginning", "x=1 | x?1 x?-", "", "WriteCOInitRead"),
    # What was never answered, and what failed.
    Litmus("a lost write that was read", "x=1! | x?1", EVERY),
    Litmus("a lost write that was not read", "x=1! | x?-", EVERY),
    Litmus("a lost write that was read and forgotten", "x=1! | x?1 x?-", "", "WriteCOInitRead"),
    Litmus("a failed write", "x=1~ | x?-", EVERY),
    Litmus("a failed write that was read", "x=1~ | x?1", "", "ThinAirRead"),
    # Longer roundabouts.
    Litmus(
        "a chain of three clients, broken",
        "a=1 | a?1 b=1 | b?1 c=1 | c?1 a?-",
        "PRAM",
        "WriteCOInitRead",
    ),
    Litmus(
        "a circle through two keys and four clients",
        "x=1 y=2 | y=1 x=2 | x?1 x?2 y?1 y?2 | y?2 y?1",
        "CC CM PRAM",
        "CyclicCF",
    ),
    Litmus("one view goes around", "x=1 | x=2 | x?1 x?2 x?1", "CC", "CyclicCF"),
    Litmus("three views and no order of two writes", "x=1 x?1 x?2 | x=2 x?2 x?1", "CC CM PRAM", "CyclicCF"),
    # Each write is only known to some; every pair of writes can be ordered, all together cannot.
    Litmus("either order of two writes leads to the other", TWO_SATISFIABILITY, WEAK),
)
