"""The synchronous face of `agreed.recipes.config`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import Generic, cast

from agreed.coordination.bodies import Stream
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.together import Surrounding
from agreed.errors import AgreedError
from agreed.recipes import config
from agreed.recipes.cell import Versioned
from agreed.recipes.codec import Value


class Config(Surrounding[config.Config[Value]], Generic[Value]):
    """Any number of tasks may have entered it at once; it is followed until the last of them has left."""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    @property
    def error(self) -> AgreedError | None:
        """Why the newest state is not at hand; None: it is, for all we know."""
        return self.asynchronous.error

    @property
    def value(self) -> Value:
        return self.asynchronous.value

    @property
    def version(self) -> int:
        """0 of the default."""
        return self.asynchronous.version

    def states(self) -> Stream[Versioned[Value]]:
        """The state now, then each newer one, until the configuration is closed.  Raises what the backend
        does where it cannot be followed any more (SessionClosed, Forked)."""
        return cast("Stream[Versioned[Value]]", self._call(self.asynchronous.states))


OnTheLoop.FACES[config.Config] = Config
