"""A key and all that is below it, as they were at one revision."""

from __future__ import annotations

from agreed.backends.contract import Entry, Subtree
from agreed.backends.errors import TooMuchBelow
from agreed.backends.etcd.calls import Calls, Compacted, revision_of
from agreed.backends.etcd.keys import Keys, is_key
from agreed.wire.etcd.messages import RangeRequest

PAGE = 256


async def subtree(calls: Calls, keys: Keys, key: str, most: int, most_bytes: int) -> Subtree:
    """See `contract.Backend.subtree`."""
    while True:
        try:
            return await _at_one_revision(calls, keys, key, most, most_bytes)
        except Compacted:
            continue  # that revision is over; a newer one is as good


async def _at_one_revision(calls: Calls, keys: Keys, key: str, most: int, most_bytes: int) -> Subtree:
    entries: list[Entry] = []
    count, revision = 0, 0
    start, end = keys.below(key)
    ranges = [(start, end)] if not key else [(keys.raw(key), b""), (start, end)]
    for first, behind in ranges:
        more = True
        while more:
            request = RangeRequest(key=first, range_end=behind, limit=PAGE, revision=revision)
            reply = await calls.range(request, key)
            revision = revision or revision_of(reply)
            for each in reply.kvs:
                if is_key(keys.text(each.key)):
                    entries.append(keys.entry(each))
                    count += len(each.key) + len(each.value)
            if len(entries) > most or count > most_bytes:
                raise TooMuchBelow(key, most, most_bytes)
            more = reply.more
            first = reply.kvs[-1].key + b"\0" if reply.kvs else first
    return Subtree(revision, tuple(entries))
