"""That somebody has left his place in a line, heard by whoever stands behind him.

Whoever stands in line has read the line in the transaction by which he came, at the revision of his own key.
Everybody before him was there at that revision; so the watch begins behind it, and nothing has to be looked
at first: it tells of the one departure whether that comes or has long been.  A key that is there again is
another one (a client of Go comes back by the same key, and stands behind us then), which its
`create_revision` tells.
"""

from __future__ import annotations

import asyncio

from agreed.backends.contract import Entry, Place, Session
from agreed.backends.etcd.calls import Calls, revision_of
from agreed.backends.etcd.keys import Keys, Range
from agreed.backends.etcd.watches import Watches
from agreed.client.errors import ClientError, SessionExpired
from agreed.wire.etcd.messages import EventType, RangeRequest, WatchResponse


class Departure:
    """See `watches.Watcher`."""

    before = False

    def __init__(self, key: bytes, created: int, behind: int) -> None:
        self.range = Range(key, b"")
        self.over = False
        self.unknown = False
        """What happened since is not kept any more."""
        self.error: ClientError | None = None
        self.told = asyncio.Event()
        self._created = created
        self._behind = behind

    def start(self) -> int:
        return self._behind + 1

    def created(self, revision: int) -> None:
        pass

    def came(self, response: WatchResponse) -> None:
        for event in response.events:
            kv = event.kv
            if event.type == EventType.DELETE or (kv is not None and kv.create_revision != self._created):
                self.over = True
                self.told.set()

    def compacted(self) -> None:
        self.unknown = True
        self.told.set()

    def failed(self, error: ClientError) -> None:
        self.error = error
        self.told.set()

    def looked(self, there: int, revision: int) -> None:
        """`there`: the `create_revision` at this revision, 0 for nothing."""
        self.unknown = False
        self.over = there != self._created
        self._behind = revision


async def until_gone(
    calls: Calls, keys: Keys, watches: Watches, place: Place, mine: Entry, session: Session
) -> None:
    """See `contract.Backend.until_gone`."""
    calls.raise_if_unusable()
    departure = Departure(keys.raw(place.key), place.created, mine.created)
    take_off = session.on_end(departure.told.set)
    watches.add(departure)
    try:
        while not departure.over:
            departure.told.clear()
            if session.ended:
                raise SessionExpired("the session ended while it stood in line", maybe=False)
            await departure.told.wait()
            if departure.error is not None:
                raise departure.error
            if departure.unknown:
                reply = await calls.range(RangeRequest(key=departure.range.start), place.key)
                departure.looked(reply.kvs[0].create_revision if reply.kvs else 0, revision_of(reply))
                watches.add(departure)
    finally:
        take_off()
        watches.remove(departure)
