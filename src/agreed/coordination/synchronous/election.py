"""The synchronous face of `agreed.recipes.election`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.coordination.bodies import Following, Leading
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.synchronous.grant import Held
from agreed.coordination.synchronous.obtaining import Obtained
from agreed.recipes import election
from agreed.recipes.obtaining import Holder


class Term(Held[election.Term]):
    """Leadership, from its beginning to its end; a `Grant`."""

    def proclaim(self, value: bytes) -> None:
        """Say something else of oneself than before.  Raises LeadershipLost."""
        self._wait_for(self.asynchronous.proclaim(value))

    def resign(self) -> None:
        self._wait_for(self.asynchronous.resign())


OnTheLoop.FACES[election.Term] = Term


class Election(Leading[election.Election, Term], Obtained[election.Election, Term]):
    """`value` is what others see of the leader; `lead` is `acquire` by another name, for `async with`."""

    def leader(self) -> Holder | None:
        return cast("Holder | None", self._wait_for(self.asynchronous.leader()))

    def candidates(self) -> list[Holder]:
        """The leader and those who would follow, in that order."""
        return cast("list[Holder]", self._wait_for(self.asynchronous.candidates()))

    def follow(self) -> Following[Holder | None]:
        """Each leader, and None in between."""
        return cast("Following[Holder | None]", self._call(self.asynchronous.follow))


OnTheLoop.FACES[election.Election] = Election
