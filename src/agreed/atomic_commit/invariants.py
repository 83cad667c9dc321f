"""What atomic commit promises, and a witness who checks it (Bernstein, Hadzilacos and Goodman 1987, 7.3).

    AC1  uniform agreement    no two decide differently, nor do those that crash later
    AC2  integrity            nobody reverses a decision
    AC3  commit validity      commit only if every participant voted yes (or read-only)
    AC4  non-triviality       all could, and nothing failed: then commit
    AC5  termination          once all faults have ended everybody decides

The first three are checked at every report, the last two when a run is over.  A participant decides when
its resource commits or rolls back for good, a coordinator when it tells its client.  A participant that has
voted read-only does not decide.

Whoever drives the machines reports to the witness; the machines know nothing of it.
"""
from __future__ import annotations

import msgspec

from agreed.atomic_commit.messages import Decision, TransactionId, Vote
from agreed.types import NodeId


class InvariantBroken(AssertionError):
    """Says which, and with what."""


class Seen(msgspec.Struct):
    """What the witness knows of one transaction."""

    participants: tuple[NodeId, ...] = ()
    could: dict[NodeId, Vote] = msgspec.field(default_factory=dict)
    """How each resource would vote, having done its part."""
    voted: dict[NodeId, Vote] = msgspec.field(default_factory=dict)
    """What each has voted.  A yes is not taken back: a no after it has come from one that has forgotten."""
    decided: dict[NodeId, Decision] = msgspec.field(default_factory=dict)
    """By whom, in the order in which it was done: participants, and coordinators towards their clients."""


class Witness:
    def __init__(self) -> None:
        self.seen: dict[TransactionId, Seen] = {}

    def begun(self, transaction: TransactionId, participants: tuple[NodeId, ...]) -> None:
        self._of(transaction).participants = participants

    def worked(self, transaction: TransactionId, participant: NodeId, vote: Vote) -> None:
        self._of(transaction).could[participant] = vote

    def voted(self, transaction: TransactionId, participant: NodeId, vote: Vote) -> None:
        """It has sent this vote."""
        votes = self._of(transaction).voted
        if votes.get(participant, Vote.NO) == Vote.NO:
            votes[participant] = vote

    def decided(self, transaction: TransactionId, node: NodeId, decision: Decision) -> None:
        """Raises InvariantBroken."""
        seen = self._of(transaction)
        before = seen.decided.setdefault(node, decision)
        if before != decision:
            raise InvariantBroken(f"AC2: {node} has decided {before} and then {decision} on {transaction}")
        other = next((name for name, each in seen.decided.items() if each != decision), None)
        if other is not None:
            raise InvariantBroken(f"AC1: {node} decides {decision}, {other} another way, on {transaction}")
        if decision == Decision.COMMIT:
            self._check_votes(transaction, seen)

    def _check_votes(self, transaction: TransactionId, seen: Seen) -> None:
        alone = len(seen.participants) == 1  # it does not vote: that it decides is its vote
        votes = seen.could if alone else seen.voted
        for each in seen.participants:
            if votes.get(each, Vote.NO) == Vote.NO or seen.could.get(each, Vote.NO) == Vote.NO:
                raise InvariantBroken(f"AC3: {transaction} is committed without the yes of {each}")

    def check_non_triviality(self) -> None:
        """After a run without faults in which nobody was too slow.  Raises InvariantBroken."""
        for transaction, seen in self.seen.items():
            able = all(seen.could.get(each, Vote.NO) != Vote.NO for each in seen.participants)
            if seen.participants and able and Decision.COMMIT not in seen.decided.values():
                raise InvariantBroken(f"AC4: all could, nothing failed, and {transaction} is not committed")

    def check_termination(self) -> None:
        """After all faults have ended, and enough time.  Raises InvariantBroken."""
        for transaction, seen in self.seen.items():
            for each, could in seen.could.items():
                if could != Vote.READ_ONLY and each not in seen.decided:
                    raise InvariantBroken(f"AC5: {each} has not decided on {transaction}")

    def _of(self, transaction: TransactionId) -> Seen:
        return self.seen.setdefault(transaction, Seen())
