"""Standing in a row: what locks and elections are made of, over keys and leases and nothing else.

Who wants to be first puts a key of his own below the row's name, hanging on his lease, and waits until no
key of the row is older (by create_revision) than his.  So a row is fair, whoever dies leaves it with his
lease, and anybody can see who stands in it.  Clients can do the same without these services, and the two mix:
the keys are those of etcd's own recipes.

    enter   puts the key where it is not there; the same lease again has the same place
    wait    until nobody in the row is older; then the place is looked at once more, behind a barrier
    leave   takes the key away, if it is still the one that was put

That nobody is older is read from the store of this node, which has the place itself.  No key with a smaller
create_revision can come after that, and one that is gone stays gone, so it stays true.  The place may be
gone meanwhile with its lease, which this node may be the last to hear: hence the barrier (etcd issue 11456).

A place whose call is cancelled is given up, also where nobody knows yet whether it was taken, and where
nobody here will ever hear that it was: a node that was far behind is given a snapshot instead of the entry.
Then who still waits enters again, which finds the place or takes one; for who does not, it is looked whether
there is one.

What this cannot do: a holder that stands still longer than its lease lives goes on believing.  Whatever a
lock guards has to be guarded by the lock's key itself: a transaction that compares its create_revision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.waiting import CommandTicket
from agreed.store.commands import DeleteRange, GrantLease, Guard, Put, Range, Transaction
from agreed.store.events import Event, EventKind, Space
from agreed.store.ranges import prefix_end
from agreed.store.records import Record
from agreed.store.results import LeaseResult, RangeResult, Refusal, Result, TransactionResult
from agreed.types import LeaseId, Revision
from agreed.wire.etcd import translate
from agreed.wire.grpc.status import Code, Status

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

TTL_MS: Final = 60_000
"""Of the lease of somebody who brings none; nobody renews it."""


class Place:
    """`revision`: the create_revision of its key."""

    __slots__ = ("call", "key", "prefix", "revision")

    def __init__(self, call: Call, prefix: bytes, key: bytes, revision: Revision) -> None:
        self.call = call
        self.prefix = prefix
        self.key = key
        self.revision = revision


class _Entry(CommandTicket):
    """Hears of the result, or that it is lost, also when its call is over: a place must be given back."""

    __slots__ = ("_late", "_lost")

    def __init__(
        self,
        call: Call,
        then: Callable[[Result], None],
        late: Callable[[Result], None],
        lost: Callable[[], None],
    ) -> None:
        super().__init__(call, then)
        self._late = late
        self._lost = lost

    def done(self, result: Result) -> None:
        if self.closed:
            self._late(result)
        else:
            super().done(result)

    def lost(self) -> None:
        if self.waiting is not None:
            self.waiting.pop(self, None)
        self._lost()


class _Leaving(CommandTicket):
    """What was taken must be given back, however long that takes."""

    __slots__ = ()

    may_be_withdrawn = False


class Rows:
    """All rows of one service in which somebody waits."""

    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._rows: dict[bytes, dict[Call, tuple[Callable[[], None], bool]]] = {}
        """By prefix: who is to look when something changes there, and whether also when somebody comes."""
        self._lengths: Counter[int] = Counter()
        """How many of these prefixes are so long.  A key may be a million slashes, and have as many prefixes:
        to look for each of them would keep every node from its work for minutes."""
        front.on_change.append(self._on_change)
        front.on_restored.append(self._on_restored)

    # --- a place ------------------------------------------------------------------------------------------

    def enter(
        self,
        call: Call,
        name: bytes,
        lease: LeaseId,
        value: bytes,
        entered: Callable[[Place, Record | None], None],
    ) -> None:
        """`entered(place, record)`: `record` is what was there already.  Lease 0: one is granted.

        A call that cannot is failed."""
        prefix = name + b"/"
        refusal = self._front.may_read(call, prefix, prefix_end(prefix))
        if refusal is not None:
            call.fail(as_unknown(refusal))
        elif lease:
            self._enter(call, prefix, lease, value, entered)
        else:
            self.granted(call, lambda granted: self._enter(call, prefix, granted, value, entered))

    def granted(self, call: Call, then: Callable[[LeaseId], None]) -> None:
        """A lease for somebody who has none."""
        front = self._front

        def applied(result: Result) -> None:
            if isinstance(result, LeaseResult):
                then(result.lease)
            else:
                call.fail(as_unknown(_status(result)))

        lease = int.from_bytes(front.replica.entropy(8), "big") >> 1 or 1
        front.submit(call, GrantLease(lease, TTL_MS, b"", None), applied)

    def _enter(
        self,
        call: Call,
        prefix: bytes,
        lease: LeaseId,
        value: bytes,
        entered: Callable[[Place, Record | None], None],
    ) -> None:
        front = self._front
        key = prefix + format(lease, "x").encode()
        known = front.replica.store.revision

        def applied(result: Result) -> None:
            if not isinstance(result, TransactionResult):
                call.fail(as_unknown(_status(result)))
                return
            record = None
            if not result.succeeded:
                found = result.results[0]
                assert isinstance(found, RangeResult)
                record = found.records[0]
            revision = front.replica.store.revision if record is None else record.create_revision
            place = Place(call, prefix, key, revision)
            call.on_closed = lambda: self.leave(place)
            entered(place, record)

        def too_late(result: Result) -> None:
            if isinstance(result, TransactionResult) and result.succeeded:
                self.leave(Place(call, prefix, key, front.replica.store.revision))

        def lost() -> None:
            if not call.closed:
                self._enter(call, prefix, lease, value, entered)
                return
            record = front.replica.store.flat.get(key)
            if record is not None and record.create_revision > known:
                self.leave(Place(call, prefix, key, record.create_revision))

        absent = Guard(key, None, "create_revision", "=", 0)
        put = Transaction((absent,), (Put(key, value, lease),), (Range(key, None),))
        front.submit_ticket(put, _Entry(call, applied, too_late, lost))

    def leave(self, place: Place) -> None:
        self.stop(place.prefix, place.call)
        still = Guard(place.key, None, "create_revision", "=", place.revision)
        delete = Transaction((still,), (DeleteRange(place.key, None),), ())
        self._front.submit_ticket(delete, _Leaving(place.call, lambda result: None))

    def wait(self, place: Place, first: Callable[[], None], gone: Status) -> None:
        """`first` is called once nobody in the row is older; a place that is gone fails its call."""
        if self._first(place):
            first()
            return

        def look() -> None:
            if not self._there(place):
                self.stop(place.prefix, place.call)
                place.call.fail(gone)
            elif self._first(place):
                self.stop(place.prefix, place.call)
                self._front.after_barrier(place.call, confirmed)

        def confirmed() -> None:
            if self._there(place):
                first()
            else:
                place.call.fail(gone)

        self.watch(place.prefix, place.call, look)

    def _there(self, place: Place) -> bool:
        record = self._front.replica.store.flat.get(place.key)
        return record is not None and record.create_revision == place.revision

    def _first(self, place: Place) -> bool:
        """Whether nobody is older.  Most who wait find somebody who is at once."""
        row = self._front.replica.store.flat.history.range(place.prefix, prefix_end(place.prefix))
        return not any(record.create_revision < place.revision for record in row)

    def oldest(self, prefix: bytes) -> Record | None:
        """Who stands first in a row."""
        row = self._front.replica.store.flat.history.range(prefix, prefix_end(prefix))
        return min(row, key=lambda record: record.create_revision, default=None)

    # --- who is to look -----------------------------------------------------------------------------------

    def watch(self, prefix: bytes, call: Call, look: Callable[[], None], *, puts: bool = False) -> None:
        """`look` is called when a key below the prefix was deleted, with `puts` also when one was put; once,
        however much one command did."""
        row = self._rows.get(prefix)
        if row is None:
            row = self._rows[prefix] = {}
            self._lengths[len(prefix)] += 1
        row[call] = (look, puts)

    def stop(self, prefix: bytes, call: Call) -> None:
        row = self._rows.get(prefix)
        if row is not None and row.pop(call, None) is not None and not row:
            del self._rows[prefix]
            self._lengths[len(prefix)] -= 1
            if not self._lengths[len(prefix)]:
                del self._lengths[len(prefix)]

    def _on_change(self, fresh: Sequence[Event]) -> None:
        if not self._rows:
            return
        changed: dict[bytes, bool] = {}
        for event in fresh:
            if event.space is Space.FLAT:
                key = event.record.key
                for length in self._lengths:
                    if length <= len(key) and (prefix := key[:length]) in self._rows:
                        changed[prefix] = changed.get(prefix, False) or event.kind is EventKind.DELETED
        for prefix, deleted in changed.items():
            self._look(prefix, deleted)

    def _on_restored(self) -> None:
        for prefix in list(self._rows):
            self._look(prefix, deleted=True)

    def _look(self, prefix: bytes, deleted: bool) -> None:
        for call, (look, puts) in list(self._rows.get(prefix, {}).items()):
            if (deleted or puts) and not call.closed:
                look()


def _status(result: Result) -> Status:
    assert isinstance(result, Refusal)
    return translate.status_of(result)


def as_unknown(status: Status) -> Status:
    """The services speak to etcd through a client within the server, and pass on only the text of its
    errors."""
    return Status(Code.UNKNOWN, status.message)
