"""The synchronous face of `agreed.recipes.registry`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from agreed.coordination.bodies import Following
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.synchronous.grant import Held
from agreed.coordination.synchronous.obtaining import Obtained
from agreed.coordination.together import Registers
from agreed.recipes import registry
from agreed.recipes.registry import Instance


class Registration(Held[registry.Registration]):
    """From `register` to its end; a `Grant`."""

    @property
    def id(self) -> str:
        return self.asynchronous.id

    def inform(self, info: bytes) -> None:
        """Say something else of oneself than before.  Nobody else writes there, so that a lost answer can be
        told, and what is said first is never what stands there last.  Raises MembershipLost."""
        self._wait_for(self.asynchronous.inform(info))

    def leave(self) -> None:
        self._wait_for(self.asynchronous.leave())

    def update(self, address: str | None = None, meta: Mapping[str, str] | None = None) -> None:
        """Say something else of oneself than before.  Raises MembershipLost."""
        self._wait_for(self.asynchronous.update(address, meta))


OnTheLoop.FACES[registry.Registration] = Registration


class Registering(Obtained[registry.Registering, Registration]):
    """`async with`, or `await registering.acquire()`; each makes another instance."""


OnTheLoop.FACES[registry.Registering] = Registering


class Registry(Registers[registry.Registry]):
    """`root`: where all services stand."""

    @property
    def root(self) -> str:
        return self.asynchronous.root

    def resolve(self, name: str, *, unhealthy: bool = False) -> list[Instance]:
        """All that are healthy, in the order in which they came; none is no error.  Raises CodecError."""
        return cast("list[Instance]", self._wait_for(self.asynchronous.resolve(name, unhealthy=unhealthy)))

    def pick(self, name: str) -> Instance | None:
        """One of them by chance; None: there is none."""
        return cast("Instance | None", self._wait_for(self.asynchronous.pick(name)))

    def services(self) -> list[str]:
        """The names under which anything is registered."""
        return cast("list[str]", self._wait_for(self.asynchronous.services()))

    def follow(self, name: str) -> Following[list[Instance]]:
        """The instances that are healthy, then each newer state of them."""
        return cast("Following[list[Instance]]", self._call(self.asynchronous.follow, name))


OnTheLoop.FACES[registry.Registry] = Registry
