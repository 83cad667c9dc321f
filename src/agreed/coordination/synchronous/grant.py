"""The synchronous face of `agreed.recipes.grant`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import TypeVar, cast

from agreed.backends.contract import Stands
from agreed.coordination.bodies import EndOfBody
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.recipes import grant
from agreed.recipes.errors import Lost

AnyGrant = TypeVar("AnyGrant", bound=grant.Grant)


class Held(EndOfBody[AnyGrant]):
    """Made by recipes.  `name` is what was asked for, `key` where it stands in the store."""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    @property
    def key(self) -> str:
        return self.asynchronous.key

    @property
    def token(self) -> int:
        return self.asynchronous.token

    @property
    def lost(self) -> bool:
        return self.asynchronous.lost

    @property
    def held(self) -> bool:
        """Neither lost nor given back, as far as is known here; `check` is the stricter question."""
        return self.asynchronous.held

    def remaining(self) -> float:
        """0 once it is lost or given back, and in a forked process."""
        return cast("float", self._call(self.asynchronous.remaining))

    def check(self) -> None:
        """Raises `Lost` (of its kind) unless nobody else can hold it now, NotHeld after `release`, and Forked
        in a forked process, which does not know whether it was given back."""
        self._call(self.asynchronous.check)

    def lost_by_now(self) -> bool:
        """`lost`, also where nobody has noticed so far: the process stood still, or something kept the event
        loop from its work.  Raises Forked."""
        return cast("bool", self._call(self.asynchronous.lost_by_now))

    def loss(self) -> Lost:
        return cast("Lost", self._call(self.asynchronous.loss))

    def condition(self) -> Stands:
        return cast("Stands", self._call(self.asynchronous.condition))

    def wait_lost(self) -> bool:
        """Returns once it is lost (True) or given back (False)."""
        return cast("bool", self._wait_for(self.asynchronous.wait_lost()))

    def release(self) -> None:
        """Give it back; whoever waits may have it when this returns.  A lost one is cleaned away as well.
        Doing it twice is doing it once.  Raises what the backend does; it goes with the session then."""
        self._wait_for(self.asynchronous.release())


class Grant(Held[grant.Grant]):
    """Made by recipes.  `name` is what was asked for, `key` where it stands in the store."""


OnTheLoop.FACES[grant.Grant] = Grant
