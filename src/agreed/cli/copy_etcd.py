"""`agreed copy` from and to what speaks etcd's protocol: an etcd, or a cluster of this package.

**From.**  All keys are read as they were at one revision, in pages, and with `--follow` every change after
that revision is brought, each revision as a whole: what changed together there changes together here, as far
as it fits into one transaction.  A watch that breaks is opened anew behind the last whole revision.

**Leases.**  A key that hangs on a lease gets one at the target, one for each lease of the source.  Copied
once, it has the time that was left.  While we follow, it has the full time, and is renewed for as long as
the lease of the source lives; if we die, the copy ends after its time, as the original would if its holder
died.
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from agreed.cli.copy_merge import (
    OPERATIONS_MOST,
    Batch,
    CannotHold,
    Change,
    CopyFailed,
    Held,
    Write,
    behind,
    digest,
)
from agreed.cli.copy_place import Place
from agreed.client.etcd_channel import CallFailed, EtcdChannel, EtcdStream
from agreed.wire.etcd.messages import (
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    Event,
    EventType,
    KeyValue,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseLeasesRequest,
    LeaseTimeToLiveRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
    WatchCreateRequest,
    WatchRequest,
    WatchResponse,
)
from agreed.wire.grpc.status import Code

KV, LEASE = "/etcdserverpb.KV/", "/etcdserverpb.Lease/"
RANGE, TXN = f"{KV}Range", f"{KV}Txn"
WATCH = "/etcdserverpb.Watch/Watch"

TIMEOUT_S = 30.0
"""Of one call; an election, or a machine that is restarted, is waited out."""

PAGE_FIRST, PAGE_MOST = 16, 1000
PAGE_BYTES = 2 * 1024 * 1024
"""Pages grow while they are smaller than this and shrink when they are much larger."""

EVENTS_MOST = 1000
"""How many events of a watch are taken together."""

LONGEST_TTL_S = 9_000_000_000


def channel_of(place: Place) -> EtcdChannel:
    return EtcdChannel(place.servers, ssl=place.tls, user=place.user, password=place.password)


def range_of(prefix: bytes) -> tuple[bytes, bytes]:
    """`key` and `range_end` of all keys that begin with `prefix`."""
    if not prefix:
        return b"\0", b"\0"
    kept = prefix.rstrip(b"\xff")
    return prefix, kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\0"


class _Pages:
    """All keys of a prefix at one revision."""

    def __init__(self, channel: EtcdChannel, prefix: bytes) -> None:
        self._channel = channel
        self._start, self._end = range_of(prefix)
        self.revision = 0
        self.cluster = 0
        self.count = 0

    async def begin(self) -> None:
        request = RangeRequest(key=self._start, range_end=self._end, count_only=True)
        reply = await self._ask(request)
        self.count, self.revision, self.cluster = reply.count, reply.header.revision, reply.header.cluster_id

    async def read(self, *, keys_only: bool = False) -> AsyncIterator[tuple[KeyValue, ...]]:
        start, limit = self._start, PAGE_FIRST
        while True:
            request = RangeRequest(
                key=start, range_end=self._end, limit=limit, revision=self.revision, keys_only=keys_only
            )
            try:
                reply = await self._ask(request)
            except CallFailed as error:
                if error.status.code is not Code.RESOURCE_EXHAUSTED or limit == 1:
                    raise
                # Large values behind many small ones: together they are more than one answer may have.
                limit = max(limit // 8, 1)
                continue
            if reply.kvs:
                yield reply.kvs
            if not reply.more:
                return
            size = sum(len(each.key) + len(each.value) for each in reply.kvs)
            if size < PAGE_BYTES:
                limit = min(2 * limit, PAGE_MOST)
            elif size > 2 * PAGE_BYTES:
                limit = max(limit // 2, 1)
            start = reply.kvs[-1].key + b"\0"

    async def _ask(self, request: RangeRequest) -> Any:
        try:
            return await self._channel.call(RANGE, request, timeout_s=TIMEOUT_S, repeatable=True)
        except CallFailed as error:
            if error.status.code is Code.OUT_OF_RANGE:
                raise CopyFailed(
                    f"the source was compacted past revision {self.revision} while it was read; run it again"
                ) from error
            raise


class EtcdSource:
    """See above.  `cluster` and `revision` are known once `scan` or `follow` has begun."""

    def __init__(self, place: Place, prefix: bytes) -> None:
        self._place = place
        self._root = place.root.encode()
        self._prefix = self._root + (prefix or (b"/" if self._root else b""))
        self.channel = channel_of(place)
        # A watch that is behind is not read for a while, and with it all that its channel carries.
        self._watching = channel_of(place)
        self.revision = 0
        self.cluster = 0
        self.count = 0
        self._brought: dict[bytes, int] = {}

    def close(self) -> None:
        self.channel.close()
        self._watching.close()

    async def scan(self) -> AsyncIterator[Batch]:
        """Everything, as it was at `revision`."""
        pages = _Pages(self.channel, self._prefix)
        await pages.begin()
        self.revision, self.cluster, self.count = pages.revision, pages.cluster, pages.count
        async for page in pages.read():
            changes = [Change(self._name(each.key), each.value, lease=each.lease) for each in page]
            yield Batch(changes, self.revision)

    async def go_on(self, cluster: int, revision: int) -> Batch:
        """Instead of `scan`: what hangs on leases, which nobody has renewed meanwhile; the rest is known to
        be there.  Raises `CopyFailed` where this is not the store it was."""
        pages = _Pages(self.channel, self._prefix)
        await pages.begin()
        if pages.cluster != cluster or pages.revision < revision:
            raise CopyFailed(
                f"the source is not the one that was copied: cluster {pages.cluster:x} at revision "
                f"{pages.revision}, and not {cluster:x} at {revision} or later; run it again without --state"
            )
        self.cluster, self.revision = cluster, revision
        changes = []
        for lease in (await self._ask("LeaseLeases", LeaseLeasesRequest())).leases:
            held = await self._ask("LeaseTimeToLive", LeaseTimeToLiveRequest(ID=lease.ID, keys=True))
            for key in held.keys:
                if key.startswith(self._prefix):
                    changes += await self._as_it_was_and_is(key)
        return Batch(changes, revision)

    async def _ask(self, method: str, request: msgspec.Struct) -> Any:
        return await self.channel.call(f"{LEASE}{method}", request, timeout_s=TIMEOUT_S, repeatable=True)

    async def _as_it_was_and_is(self, key: bytes) -> list[Change]:
        """What has changed between is not to be told again by the watch, which would find it undone."""
        was = await self.channel.call(
            RANGE, RangeRequest(key=key, revision=self.revision), timeout_s=TIMEOUT_S, repeatable=True
        )
        now = await self.channel.call(RANGE, RangeRequest(key=key), timeout_s=TIMEOUT_S, repeatable=True)
        self._brought[key] = now.header.revision
        before = digest(was.kvs[0].value) if was.kvs else None
        return [Change(self._name(key), each.value, before, each.lease) for each in now.kvs]

    async def follow(self) -> AsyncIterator[Batch]:
        """Every change after `revision`, whole revisions, for ever."""
        while True:
            try:
                stream = await self._watching.stream(WATCH, timeout_s=TIMEOUT_S)
                async for batch in self._watched(stream):
                    yield batch
            except CallFailed as error:
                if error.status.code not in (Code.UNAVAILABLE, Code.CANCELLED):
                    raise
            await asyncio.sleep(0.2)

    async def _watched(self, stream: EtcdStream) -> AsyncIterator[Batch]:
        start, end = range_of(self._prefix)
        stream.send(
            WatchRequest(
                create_request=WatchCreateRequest(
                    key=start,
                    range_end=end,
                    start_revision=self.revision + 1,
                    prev_kv=True,
                    progress_notify=True,
                    fragment=True,
                )
            )
        )
        kept: list[Event] = []
        try:
            while (response := await stream.receive()) is not None:
                self._raise_if_over(response)
                kept += response.events
                # Who is behind takes more at once.
                if response.fragment or (stream.unread and len(kept) < EVENTS_MOST):
                    continue
                events, kept = kept, []
                for batch in self._batches(events):
                    yield batch
                    self.revision = batch.revision
                if not events and not response.created:
                    self.revision = max(self.revision, response.header.revision)
        finally:
            stream.close()

    def _batches(self, events: Sequence[Event]) -> Iterator[Batch]:
        """Whole revisions, as many at once as fit into a transaction; of the changes of one name the last."""
        changes: dict[bytes, Change] = {}
        last = 0
        for revision, together in groupby(events, _revision):
            more = [self._change(event) for event in together if not self._is_brought(event)]
            new = {change.name for change in more}
            if changes and len(changes.keys() | new) > OPERATIONS_MOST:
                yield Batch(list(changes.values()), last)
                changes = {}
            for change in more:
                earlier = changes.get(change.name)
                changes[change.name] = change if earlier is None else behind(earlier, change)
            last = revision
        if changes:
            yield Batch(list(changes.values()), last)

    def _raise_if_over(self, response: WatchResponse) -> None:
        if not response.canceled:
            return
        if response.compact_revision:
            raise CopyFailed(
                f"the source was compacted at revision {response.compact_revision}, and what changed after "
                f"{self.revision} is not all there any more; run it again without --state, with --delete if "
                "what has gone meanwhile has to go here too"
            )
        raise CopyFailed(f"the source does not let us watch: {response.cancel_reason or 'no reason told'}")

    def _change(self, event: Event) -> Change:
        assert event.kv is not None
        before = None if event.prev_kv is None else digest(event.prev_kv.value)
        if event.type == EventType.DELETE:
            return Change(self._name(event.kv.key), None, before)
        return Change(self._name(event.kv.key), event.kv.value, before, event.kv.lease)

    def _is_brought(self, event: Event) -> bool:
        return event.kv is not None and event.kv.mod_revision <= self._brought.get(event.kv.key, 0)

    def _name(self, key: bytes) -> bytes:
        return key[len(self._root) :]


def _revision(event: Event) -> int:
    return event.kv.mod_revision if event.kv is not None else 0


class Leases:
    """Leases of the source and what stands for them at the target."""

    def __init__(self, source: EtcdChannel, target: EtcdChannel, *, renewed: bool) -> None:
        self._source = source
        self._target = target
        self._renewed = renewed
        self._known: dict[int, tuple[int, int]] = {}

    async def at_target(self, lease: int) -> int:
        if lease not in self._known:
            left, granted = await self._left(lease)
            # One that is over by now is about to take its keys: they get the shortest time there is.
            ttl = max(1, min(granted if self._renewed and left > 0 else left, LONGEST_TTL_S))
            path = f"{LEASE}LeaseGrant"
            made = await self._target.call(
                path, LeaseGrantRequest(TTL=ttl), timeout_s=TIMEOUT_S, repeatable=True
            )
            self._known[lease] = made.ID, made.TTL
        return self._known[lease][0]

    def stands_for(self, lease: int, at_target: int) -> bool:
        """Whether what hangs on `at_target` ends when it should.  Copied once, any lease will do."""
        if not self._renewed:
            return at_target != 0
        return lease in self._known and self._known[lease][0] == at_target

    def forget(self, leases: Sequence[int]) -> None:
        for lease in leases:
            self._known.pop(lease, None)

    async def _left(self, lease: int) -> tuple[int, int]:
        request = LeaseTimeToLiveRequest(ID=lease)
        reply = await self._source.call(
            f"{LEASE}LeaseTimeToLive", request, timeout_s=TIMEOUT_S, repeatable=True
        )
        return reply.TTL, reply.grantedTTL

    async def renew_for_ever(self) -> None:
        """What lives at the source is renewed at the target, three times in its time."""
        while True:
            shortest = min((ttl for _, ttl in self._known.values()), default=3)
            await asyncio.sleep(max(0.5, shortest / 3))
            try:
                await self._renew()
            except CallFailed:
                continue

    async def _renew(self) -> None:
        if not self._known:
            return
        stream = await self._target.stream(f"{LEASE}LeaseKeepAlive", timeout_s=TIMEOUT_S)
        try:
            for lease, (copy, _) in list(self._known.items()):
                left, _ = await self._left(lease)
                if left <= 0:
                    self._known.pop(lease, None)
                    continue
                stream.send(LeaseKeepAliveRequest(ID=copy))
                async with asyncio.timeout(TIMEOUT_S):
                    answer = await stream.receive()
                if answer is None or answer.TTL <= 0:
                    self._known.pop(lease, None)
        except TimeoutError:
            pass
        finally:
            stream.close()


class EtcdTarget:
    """Keys behind the root of a place."""

    def __init__(self, place: Place, leases_of: EtcdChannel | None = None, *, renewed: bool = False) -> None:
        self._root = place.root.encode()
        self.channel = channel_of(place)
        self._leases: Leases | None = None
        if leases_of is not None:
            self._leases = Leases(leases_of, self.channel, renewed=renewed)

    def close(self) -> None:
        self.channel.close()

    async def stay(self) -> None:
        """What has to be done all the while."""
        if self._leases is not None:
            await self._leases.renew_for_ever()

    def check(self, change: Change) -> None:
        if not self._root + change.name:
            raise CannotHold(change.name, "an empty key")
        if self._root and not change.name.startswith(b"/"):
            raise CannotHold(change.name, f"no slash in front, so it cannot stand behind {self._root!r}")

    def hangs_on(self, lease: int, held: Held) -> bool:
        if lease == 0 or self._leases is None:
            return held.lease == 0
        return self._leases.stands_for(lease, held.lease)

    async def read(self, names: Sequence[bytes]) -> dict[bytes, Held]:
        ranges = [RequestOp(request_range=RangeRequest(key=self._root + name)) for name in names]
        reply = await self.channel.call(
            TXN, TxnRequest(success=tuple(ranges)), timeout_s=TIMEOUT_S, repeatable=True
        )
        found = {}
        for name, response in zip(names, reply.responses, strict=True):
            for each in response.response_range.kvs:
                found[name] = Held(each.value, each.mod_revision, each.lease)
        return found

    async def write(self, writes: Sequence[Write]) -> bool:
        guards, operations = [], []
        for write in writes:
            key = self._root + write.change.name
            token = 0 if write.over is None else write.over.token
            guards.append(Compare(target=CompareTarget.MOD, key=key, mod_revision=token))
            operations.append(await self._operation(key, write.change))
        request = TxnRequest(compare=tuple(guards), success=tuple(operations))
        try:
            reply = await self.channel.call(TXN, request, timeout_s=TIMEOUT_S, repeatable=True)
        except CallFailed as error:
            if error.status.code is Code.NOT_FOUND and self._leases is not None:
                self._leases.forget([write.change.lease for write in writes])
                return False
            if error.status.code in (Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED) and _is_too_large(error):
                largest = max(writes, key=lambda write: len(write.change.wanted or b""))
                raise CannotHold(largest.change.name, error.status.message) from error
            raise
        return bool(reply.succeeded)

    async def _operation(self, key: bytes, change: Change) -> RequestOp:
        if change.wanted is None:
            return RequestOp(request_delete_range=DeleteRangeRequest(key=key))
        lease = 0
        if change.lease and self._leases is not None:
            lease = await self._leases.at_target(change.lease)
        return RequestOp(request_put=PutRequest(key=key, value=change.wanted, lease=lease))

    async def names(self, prefix: bytes) -> AsyncIterator[list[bytes]]:
        pages = _Pages(self.channel, self._root + (prefix or (b"/" if self._root else b"")))
        await pages.begin()
        async for page in pages.read(keys_only=True):
            yield [each.key[len(self._root) :] for each in page]


def _is_too_large(error: CallFailed) -> bool:
    return "too large" in error.status.message or "larger than max" in error.status.message
