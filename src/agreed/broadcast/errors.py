"""What can go wrong with a log, besides what can go wrong with any request (`agreed.client.errors`)."""
from __future__ import annotations

from agreed.errors import AgreedError


class BroadcastError(AgreedError):
    """Anything that is raised by a log alone."""


class Gap(BroadcastError):
    """What stood at `offset` is no longer kept; `first` is the oldest that is.

    Whoever falls behind the retention of the log is told so, and never just given later messages.
    `Subscription.seek(first)` goes on there, if the program can do without what it has missed."""

    surely_not_done = True

    def __init__(self, offset: int, first: int) -> None:
        super().__init__(f"messages {offset} to {first - 1} are no longer kept")
        self.offset = offset
        self.first = first


class Fenced(BroadcastError):
    """Somebody else has taken this name (of a publisher, of a consumer) since: two of one name would undo
    each other's promises, so the older one ends.  Of a publisher, what had no answer yet may have been
    published; it was, if the successor's `last_number` says so."""

    def __init__(self, name: str, *, maybe: bool = False) -> None:
        super().__init__(f"{name!r} was taken over")
        self.surely_not_done = not maybe


class PublisherStopped(BroadcastError):
    """An earlier message of this publisher failed (`__cause__` tells of what), or it was closed.  This one
    was not published.  `Log.publisher` with the same name goes on."""

    surely_not_done = True

    def __init__(self, name: str) -> None:
        super().__init__(f"the publisher {name!r} has stopped")


class OffsetUnknown(BroadcastError):
    """The message was published, but the answer was lost, and it is not kept any more: nobody can tell its
    offset."""


class LogChanged(BroadcastError):
    """What stands in the store was not written by a log of this kind."""

    surely_not_done = True
