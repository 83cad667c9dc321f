"""Messages that may not leave before what they vouch for is durable.

A vote says "I shall never vote for another in this term", an acknowledgement "I shall still have these
entries after a crash".  Spoken too early, either is a lie: the node crashes, forgets, and says the opposite
to somebody else; two leaders are elected, or an agreed entry is lost.  So such a message is held here with
the serial of the save it rests on, and becomes an effect when that save is known to be done.

Dropping a held message is always allowed (a network may do it), sending it early never.
"""
from __future__ import annotations

from agreed.consensus.machine import Send


class Promises:
    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: list[tuple[int, Send]] = []

    def __len__(self) -> int:
        return len(self._held)

    @property
    def earliest(self) -> int | None:
        """The lowest serial something waits for."""
        return min((serial for serial, _ in self._held), default=None)

    def hold(self, serial: int, send: Send) -> None:
        self._held.append((serial, send))

    def hold_last(self, serial: int, send: Send) -> None:
        """Hold a cumulative message: it says all that one to the same target held for the same save said.

        A follower that was sent three appends in one turn so answers once.
        """
        held = self._held
        if held:
            last_serial, last = held[-1]
            if (
                last_serial == serial
                and last.target == send.target
                and type(last.message) is type(send.message)
            ):
                held[-1] = (serial, send)
                return
        held.append((serial, send))

    def release(self, saved: int) -> list[Send]:
        """What no longer needs to wait once the save `saved` and all before it are durable."""
        held = self._held
        if not held:
            return []
        ripe = [send for serial, send in held if serial <= saved]
        if len(ripe) == len(held):
            held.clear()
        elif ripe:
            self._held = [(serial, send) for serial, send in held if serial > saved]
        return ripe

    def clear(self) -> None:
        """Forget them: they speak of a term that is over."""
        self._held.clear()
