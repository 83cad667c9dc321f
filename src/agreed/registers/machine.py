"""What happens to a register machine, and what it asks of the outside.

    machine.step(Asked(ticket, Read() or Write(value)))    a client of this node
    machine.step(Received(source, message))                a peer
    machine.step(TimePassed(now))                          at `machine.wake`
    machine.take()                                         -> Effects: messages, and answers to clients

Messages may be lost, doubled, delayed and overtake each other: what matters is said again.  What a node
holds is in memory, and a node that crashes stops: that is all that the theorems need, and a node that came
back without its memory would break every one of them.
"""
from __future__ import annotations

from typing import Protocol

import msgspec

from agreed.consensus.machine import Received, Send, TimePassed
from agreed.types import Instant


class Read(msgspec.Struct, frozen=True, gc=False):
    """What is the value?"""


class Write(msgspec.Struct, frozen=True, gc=False):
    """Let this be the value."""

    value: bytes


class Asked(msgspec.Struct, frozen=True):
    """By a client of this node, who waits for the answer with this ticket."""

    ticket: int
    request: Read | Write


class Answered(msgspec.Struct, frozen=True, gc=False):
    """To a read: the value, None where nothing was written yet.  To a write: None."""

    ticket: int
    value: bytes | None


Event = TimePassed | Received | Asked


class Effects(msgspec.Struct):
    send: list[Send] = msgspec.field(default_factory=list)
    answers: list[Answered] = msgspec.field(default_factory=list)


class RegisterMachine(Protocol):
    """What all of them are."""

    wake: Instant | None

    def step(self, event: Event) -> None: ...

    def take(self) -> Effects: ...
