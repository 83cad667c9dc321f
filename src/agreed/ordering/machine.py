"""What happens to a broadcast machine, and what it asks of the outside.

    machine.step(Broadcast(payload))  somebody here has something to say to everybody
    machine.step(Received(source, message))  a peer passed a message on machine.take()  -> Effects: messages
    to send, messages to deliver, in this order

The links.  A message may be doubled, may overtake others and take any time.  Between two nodes that do not
crash it arrives in the end: to repeat what was lost is the work of the link (a connection that is made
again and goes on where it was), and needs no knowledge of what this is all for.  A node that crashes stops,
and what it was sending may arrive anywhere or nowhere.  Nobody lies.
"""
from __future__ import annotations

import msgspec

from agreed.clocks.version import VersionVector
from agreed.consensus.machine import Received, Send
from agreed.types import NodeId


class Message(msgspec.Struct, frozen=True, array_like=True):
    """The `number`-th message of `origin`, from 1 on.  The same for everybody who passes it on."""

    origin: NodeId
    number: int
    payload: bytes
    sent: VersionVector = VersionVector()
    """How many messages of each node its origin had delivered, with this one (`causal` alone says so)."""


class Broadcast(msgspec.Struct, frozen=True, gc=False):
    """Please tell everybody, us included."""

    payload: bytes


Event = Broadcast | Received


class Effects(msgspec.Struct):
    send: list[Send] = msgspec.field(default_factory=list)
    deliver: list[Message] = msgspec.field(default_factory=list)
