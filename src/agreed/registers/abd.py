"""The ABD register: linearizable reads and writes without consensus, while a majority answers.

(Attiya, Bar-Noy and Dolev 1995 for one writer; Lynch and Shvartsman 1997 for many.)  It is the register of
quorums with one thing added: a read does not answer before what it will answer is on a majority.  So
whoever reads after that finds it, or something newer.  A read that finds all of its majority agreed need
not write.

It is linearizable: order operations by the time of the value they wrote or returned.  If one was answered
before another began, a majority holds its time by then, and the other meets that majority.

Why then consensus?  Because nobody can write *depending on what is there*: a compare-and-set, a lock, a
counter cannot be built from such registers where nodes may crash (Herlihy 1991; registers have consensus
number 1).  The price of not needing more is that no request is ever refused by anything but silence.
"""
from __future__ import annotations

from collections.abc import Iterable

from agreed.registers.machine import Answered, Asked
from agreed.registers.quorum import QuorumRegister, Versioned
from agreed.types import NodeId


class AbdRegister(QuorumRegister):
    """One node; quorums are majorities."""

    def __init__(self, node: NodeId, peers: Iterable[NodeId], retry_ms: int = 100) -> None:
        super().__init__(node, peers, retry_ms=retry_ms)

    def _read(self, asked: Asked, newest: Versioned, states: dict[NodeId, Versioned]) -> None:
        if all(state.time == newest.time for state in states.values()):
            self._effects.answers.append(Answered(asked.ticket, newest.value))
        else:
            self._begin(asked, newest, self.write_quorum, newest.value)
