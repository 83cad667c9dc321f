"""The names of what can go wrong between transactions, and which of them is also which.

The names are those of Adya's thesis (1999) and of the literature after it.  Cycles of dependencies:

    G0              writes overwrite each other in a circle (ww)
    G1c             information flows in a circle (ww, wr)
    G-single        one transaction misses a write of another that it depends on (exactly one rw)
    G-nonadjacent   two or more rw, no two of them adjacent: what snapshot isolation forbids beyond G-single
    G2-item         a circle with two adjacent rw (write skew is the smallest)

Each of them may need the order of a session to close (`-process`) or the order of real time (`-realtime`).
The suffix `-item` says that keys were read, not predicates.  All reads here are of keys, so the forms
without it are never found by themselves; they can be asked for, and are what models forbid.

What shows without a cycle:

    G1a                 a read of an aborted write
    G1b                 a read of a write that its transaction overwrote itself
    internal            a transaction does not see its own reads and writes
    future-read         a transaction reads what it writes only later
    lost-update         two transactions read the same version of a key, and both write the key
    dirty-update        a committed write on top of an aborted one
    garbage-read        a read of what nobody ever wrote
    duplicate-elements  one append that took effect twice
    incompatible-order  two reads of a list, neither of which is the beginning of the other; or one that has
                        the elements of a transaction in another order than that of its appends
    cyclic-versions     versions of one key that come each before the other

`IMPLIES` has an arrow from an anomaly to those that it is an instance of, or that must be there as well.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

PROCESS: Final = "-process"
REALTIME: Final = "-realtime"

FORMS: Final = ("", PROCESS, REALTIME)
"""Of a cycle: on its own, with the order of sessions, with the order of real time."""

_PLAIN: Final[Mapping[str, tuple[str, ...]]] = {
    "G0": ("G1c",),
    "G1a": ("G1",),
    "G1b": ("G1",),
    "G1c": ("G1",),
    "G1": (),
    "G-single-item": ("G-single", "G-nonadjacent-item"),
    "G-single": ("G-nonadjacent",),
    "G-nonadjacent-item": ("G-nonadjacent", "G2-item"),
    "G-nonadjacent": ("G2",),
    "G2-item": ("G2",),
    "G2": (),
    "incompatible-order": ("G1a",),
    "dirty-update": ("G1a",),
    "future-read": ("G1c",),
    "lost-update": ("write-skew", "G2-item"),
    "write-skew": ("G2",),
    "internal": (),
    "garbage-read": (),
    "duplicate-elements": (),
    "cyclic-versions": (),
}

_IN_FORMS: Final = (
    "G0", "G1c", "G1", "G-single-item", "G-single", "G-nonadjacent-item", "G-nonadjacent", "G2-item", "G2",
)  # fmt: skip


def _with_forms() -> dict[str, tuple[str, ...]]:
    """Adds each form of each cycle: the plain one is a case of the one with sessions (no such edge needed),
    and that of the one with real time (a session's order is one of real time)."""
    implies = dict(_PLAIN)
    for name in _IN_FORMS:
        same_form = [target for target in _PLAIN[name] if target in _IN_FORMS]
        implies[name] = (*_PLAIN[name], name + PROCESS)
        implies[name + PROCESS] = (*(target + PROCESS for target in same_form), name + REALTIME)
        implies[name + REALTIME] = tuple(target + REALTIME for target in same_form)
    return implies


IMPLIES: Final[Mapping[str, tuple[str, ...]]] = _with_forms()


@cache
def implied_by(names: frozenset[str]) -> frozenset[str]:
    """These anomalies, and all that are there whenever they are."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(IMPLIES[name])
    return frozenset(found)


def implying(names: Iterable[str]) -> frozenset[str]:
    """These anomalies, and all that would be a sign of one of them."""
    sought = frozenset(names)
    return frozenset(name for name in IMPLIES if implied_by(frozenset((name,))) & sought)
