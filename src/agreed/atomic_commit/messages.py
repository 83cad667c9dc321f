"""What is said, written down, and done when several nodes commit one transaction or none of them does.

    machine.step(Begun(transaction, participants))  a client of the coordinator: please commit it
    machine.step(Worked(transaction, vote))         a resource has done its part, and would vote so
    machine.step(Received(source, message))         the others
    machine.step(Saved(serial))                     a record is durable
    machine.step(TimePassed(now))                   at `machine.wake`, and before any other event
    machine.take()                                  -> Effects

Why before any other event: a machine that was idle for an hour would count a participant's time to vote
from an hour ago.  That is safe, and everything would be aborted.

Messages may be lost, doubled, delayed and overtake each other.  A node may crash and come back with the
records that were durable, and nothing else.  Effects may be done in any order: what must wait for a record
is not among them before `Saved` has come.

A record is what the log of the resource says itself.  With a database, saving `Prepared` is its PREPARE
TRANSACTION, saving `Finished` is COMMIT PREPARED or ROLLBACK PREPARED (in one phase: COMMIT), and `Saved`
is its answer.

Names of transactions are never used twice: the name of a coordinator's life and a number will do.
"""
from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from agreed.consensus.machine import Received, Saved, Send, TimePassed
from agreed.types import NodeId

TransactionId: TypeAlias = str


class Vote(StrEnum):
    """What a participant says when it is asked to prepare."""

    YES = "yes"
    """I can do either now, whatever happens to me, and shall not choose myself."""
    NO = "no"
    """I have rolled back."""
    READ_ONLY = "read-only"
    """I have written nothing, and have let go: do not tell me how it ends."""


class Decision(StrEnum):
    COMMIT = "commit"
    ABORT = "abort"


# --- messages ---------------------------------------------------------------------------------------------


class Prepare(msgspec.Struct, frozen=True, tag=True):
    """From the coordinator: how do you vote?  Who is in doubt afterwards asks `ask`."""

    transaction: TransactionId
    ask: tuple[NodeId, ...]


class Voted(msgspec.Struct, frozen=True, tag=True):
    transaction: TransactionId
    vote: Vote


class Decided(msgspec.Struct, frozen=True, tag=True):
    """From whoever knows it."""

    transaction: TransactionId
    decision: Decision


class Acknowledged(msgspec.Struct, frozen=True, tag=True):
    """Of a commit alone: I shall never ask about it again."""

    transaction: TransactionId


class Inquiry(msgspec.Struct, frozen=True, tag=True):
    """I am in doubt: how did it end?  Who does not know is silent."""

    transaction: TransactionId


class CommitAlone(msgspec.Struct, frozen=True, tag=True):
    """From the coordinator to the only participant: you decide."""

    transaction: TransactionId


class DecidedAlone(msgspec.Struct, frozen=True, tag=True):
    """Answers `CommitAlone`; a commit is said again until it is acknowledged."""

    transaction: TransactionId
    decision: Decision


Message = Prepare | Voted | Decided | Acknowledged | Inquiry | CommitAlone | DecidedAlone


# --- records ----------------------------------------------------------------------------------------------


class Prepared(msgspec.Struct, frozen=True, tag=True):
    """Of a participant, before it votes yes: it can commit, and holds its locks until it is told."""

    transaction: TransactionId
    coordinator: NodeId
    ask: tuple[NodeId, ...]


class Finished(msgspec.Struct, frozen=True, tag=True):
    """Of a participant, before it acknowledges; after it, all records of this transaction may be thrown away.
    Unless it has decided `alone`: that names the coordinator that left it to us and is yet to hear of it, and
    the record is needed until `Ended`."""

    transaction: TransactionId
    decision: Decision
    alone: NodeId | None = None


class Committed(msgspec.Struct, frozen=True, tag=True):
    """Of a coordinator, before it tells anybody: from here on it is committed.  `participants` are those that
    must hear of it."""

    transaction: TransactionId
    participants: tuple[NodeId, ...]


class Ended(msgspec.Struct, frozen=True, tag=True):
    """Everybody knows: all records of this transaction may be thrown away, with this one the last."""

    transaction: TransactionId


Record = Prepared | Finished | Committed | Ended


# --- events and effects -----------------------------------------------------------------------------------


class Begun(msgspec.Struct, frozen=True):
    """To a coordinator: everybody was asked to do its part, please commit it everywhere or nowhere.  Who has
    lost its part by then votes no, and must not be given it again under the same name."""

    transaction: TransactionId
    participants: tuple[NodeId, ...]


class Worked(msgspec.Struct, frozen=True):
    """To a participant: its resource has done its part of a transaction, and would vote so."""

    transaction: TransactionId
    vote: Vote


class Agreed(msgspec.Struct, frozen=True):
    """To a `replicated.ReplicatedCoordinator`: the next payload of the replicated log."""

    payload: bytes


Event = Begun | Worked | Received | Saved | TimePassed | Agreed


class Save(msgspec.Struct, frozen=True):
    """Append to the log; `Saved(serial)` when it is durable, in the order of the serials."""

    serial: int
    record: Record


class Finish(msgspec.Struct, frozen=True):
    """To the resource: this is how it ends, let go of the locks.  May be said twice, and then says the same.
    `decision` None: nothing was written, so it does not matter."""

    transaction: TransactionId
    decision: Decision | None


class Outcome(msgspec.Struct, frozen=True):
    """To the client who began it.  A client whose coordinator crashed may never hear."""

    transaction: TransactionId
    decision: Decision


class Effects(msgspec.Struct):
    send: list[Send] = msgspec.field(default_factory=list)
    saves: list[Save] = msgspec.field(default_factory=list)
    finish: list[Finish] = msgspec.field(default_factory=list)
    outcomes: list[Outcome] = msgspec.field(default_factory=list)
    proposals: list[bytes] = msgspec.field(default_factory=list)
    """For the replicated log; any of them may be dropped."""
