"""The synchronous face of `agreed.recipes.group`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.coordination.bodies import Following
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.synchronous.grant import Held
from agreed.coordination.synchronous.obtaining import Obtained
from agreed.coordination.together import Assigning
from agreed.recipes import group
from agreed.recipes.group import Member


class Membership(Held[group.Membership]):
    """From joining to leaving; a `Grant`."""

    @property
    def id(self) -> str:
        return self.asynchronous.id

    def inform(self, info: bytes) -> None:
        """Say something else of oneself than before.  Nobody else writes there, so that a lost answer can be
        told, and what is said first is never what stands there last.  Raises MembershipLost."""
        self._wait_for(self.asynchronous.inform(info))

    def leave(self) -> None:
        self._wait_for(self.asynchronous.leave())


OnTheLoop.FACES[group.Membership] = Membership


class Joining(Obtained[group.Joining, Membership]):
    """`async with`, or `await joining.acquire()`; each makes another member."""


OnTheLoop.FACES[group.Joining] = Joining


class Group(Assigning[group.Group]):
    @property
    def name(self) -> str:
        return self.asynchronous.name

    def join(self, info: bytes = b"") -> Joining:
        return cast("Joining", self._call(self.asynchronous.join, info))

    def members(self) -> list[Member]:
        return cast("list[Member]", self._wait_for(self.asynchronous.members()))

    def follow(self) -> Following[list[Member]]:
        """The members, then each newer state of them."""
        return cast("Following[list[Member]]", self._call(self.asynchronous.follow))


OnTheLoop.FACES[group.Group] = Group
