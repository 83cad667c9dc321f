"""What the machines of atomic commit have in common: effects to be taken, and records with serials.

It decides nothing.
"""
from __future__ import annotations

from agreed.atomic_commit.messages import Effects, Record, Save
from agreed.consensus.machine import Send
from agreed.types import Instant, NodeId


class CommitMachine:
    def __init__(self, node: NodeId, now: Instant) -> None:
        self.node = node
        self.wake: Instant | None = None
        """When it wants to be told the time."""
        self._now = now
        self._serial = 0
        self._effects = Effects()

    def take(self) -> Effects:
        """Everything the outside should now do."""
        effects, self._effects = self._effects, Effects()
        return effects

    def _save(self, record: Record) -> int:
        """Its serial, which `Saved` will name."""
        self._serial += 1
        self._effects.saves.append(Save(self._serial, record))
        return self._serial

    def _send(self, target: NodeId, message: object) -> None:
        self._effects.send.append(Send(target, message))
