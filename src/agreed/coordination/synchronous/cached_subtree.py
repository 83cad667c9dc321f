"""The synchronous face of `agreed.recipes.cached_subtree`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.coordination.bodies import Stream
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.coordination.together import FollowedSubtree
from agreed.errors import AgreedError
from agreed.recipes import cached_subtree
from agreed.recipes.cached_subtree import SubtreeChange


class CachedSubtree(FollowedSubtree[cached_subtree.CachedSubtree]):
    """Any number of tasks may have entered it at once; it is followed until the last of them has left."""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    @property
    def most(self) -> int:
        return self.asynchronous.most

    @property
    def most_bytes(self) -> int:
        return self.asynchronous.most_bytes

    @property
    def error(self) -> AgreedError | None:
        """Why it is not followed at present; None: it is, for all we know."""
        return self.asynchronous.error

    @property
    def revision(self) -> int:
        """Up to which everything is in it."""
        return self.asynchronous.revision

    def changes(self) -> Stream[SubtreeChange]:
        """All there is, then what has become of it, until this is closed.  Raises what the backend does when
        it cannot be followed any more (SessionClosed, Forked)."""
        return cast("Stream[SubtreeChange]", self._call(self.asynchronous.changes))

    def refresh(self) -> None:
        """Read it anew: what was acknowledged before is shown then.  Raises what the backend does."""
        self._wait_for(self.asynchronous.refresh())


OnTheLoop.FACES[cached_subtree.CachedSubtree] = CachedSubtree
