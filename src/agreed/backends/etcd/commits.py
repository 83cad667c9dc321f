"""A commit as one transaction of etcd.

A key that is changed keeps the lease that it has, or has none: only where it is made it goes with a session.
etcd says that in two ways, of which each is refused where the other is right (`lease`, `ignore_lease`), and
whether the key is there is known from a guard or not at all.  Where it is not, both stand in a transaction
within the transaction.  Then the value goes over the wire twice; if that is too much for one request, the
keys are looked at first, and that they are still as they were is one more guard.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agreed.backends.contract import Absent, At, Change, Delete, Guard, Put, Stands
from agreed.backends.etcd.calls import TXN, Calls, revision_of
from agreed.backends.etcd.keys import Keys, raise_if_no_key
from agreed.client.driver import seconds
from agreed.client.errors import BadArguments, SessionExpired, TimedOut, TooLarge
from agreed.wire.etcd.messages import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)

CHANGES_MOST: Final = 127
"""etcd takes 128 operations, those of transactions within it counted anew below each."""

VALUE_BYTES_MOST: Final = 1_500_000
"""Of the 1.5 MiB that a request may have, some is left for keys and guards."""


async def commit(calls: Calls, keys: Keys, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
    """See `contract.Backend.commit`."""
    calls.raise_if_unusable()
    about = _look_at(guards, changes)
    compares = tuple([_compare(keys, guard) for guard in guards])
    if not changes:
        return await _compare_only(calls, keys, compares, guards, about)
    known = {guard.key: not isinstance(guard, Absent) for guard in guards}
    doubtful = [change for change in changes if isinstance(change, Put) and change.key not in known]
    size = sum(len(change.value) for change in changes if isinstance(change, Put))
    if size + sum(len(put.value) for put in doubtful) > VALUE_BYTES_MOST:
        return await _after_a_look(calls, keys, compares, changes, known, doubtful, about)
    request = TxnRequest(
        compare=compares, success=tuple([_operation(keys, change, known) for change in changes])
    )
    reply = await calls.commit(request, about)
    return revision_of(reply) if reply.succeeded else None


def _look_at(guards: Sequence[Guard], changes: Sequence[Change]) -> str:
    """The key that an error is about.  Raises what no server has to be asked for."""
    about = changes[0].key if changes else guards[0].key if guards else "nothing"
    if len(changes) > CHANGES_MOST or len(guards) > CHANGES_MOST:
        raise TooLarge(about)
    if len({change.key for change in changes}) < len(changes):
        raise BadArguments("a key that is named by two changes")
    for each in (*guards, *changes):
        raise_if_no_key(each.key)
    for change in changes:
        if isinstance(change, Put):
            if len(change.value) > VALUE_BYTES_MOST:
                raise TooLarge(change.key)
            if change.session is not None and change.session.ended:
                raise SessionExpired(f"{change.key}: the session is over", maybe=False)
    return about


def _compare(keys: Keys, guard: Guard) -> Compare:
    key = keys.raw(guard.key)
    match guard:
        case Absent():
            return Compare(target=CompareTarget.CREATE, key=key, create_revision=0)
        case At(_, version):
            return Compare(target=CompareTarget.MOD, key=key, mod_revision=version)
        case Stands(_, created):
            return Compare(target=CompareTarget.CREATE, key=key, create_revision=created)


def _operation(keys: Keys, change: Change, known: dict[str, bool]) -> RequestOp:
    key = keys.raw(change.key)
    if isinstance(change, Delete):
        return RequestOp(request_delete_range=DeleteRangeRequest(key=key))
    lease = change.session.id if change.session is not None else 0
    make = RequestOp(request_put=PutRequest(key=key, value=change.value, lease=lease))
    alter = RequestOp(request_put=PutRequest(key=key, value=change.value, ignore_lease=True))
    if change.key in known:
        return alter if known[change.key] else make
    absent = Compare(target=CompareTarget.CREATE, key=key, create_revision=0)
    return RequestOp(request_txn=TxnRequest(compare=(absent,), success=(make,), failure=(alter,)))


async def _compare_only(
    calls: Calls, keys: Keys, compares: tuple[Compare, ...], guards: Sequence[Guard], about: str
) -> int | None:
    """A transaction without an operation may be answered from what an etcd knew some time ago; with a read in
    it, it is not."""
    key = keys.raw(guards[0].key) if guards else b"\0"
    look = RequestOp(request_range=RangeRequest(key=key, count_only=True))
    reply = await calls.read(TXN, TxnRequest(compare=compares, success=(look,), failure=(look,)), about)
    return revision_of(reply) if reply.succeeded else None


async def _after_a_look(
    calls: Calls,
    keys: Keys,
    compares: tuple[Compare, ...],
    changes: Sequence[Change],
    known: dict[str, bool],
    doubtful: Sequence[Put],
    about: str,
) -> int | None:
    ends_at = seconds() + calls.request_timeout_s
    looks = tuple(
        [RequestOp(request_range=RangeRequest(key=keys.raw(put.key), count_only=True)) for put in doubtful]
    )
    verdict = RequestOp(request_txn=TxnRequest(compare=compares))
    while seconds() < ends_at:
        found = await calls.read(TXN, TxnRequest(success=looks), about)
        for put, response in zip(doubtful, found.responses, strict=True):
            known[put.key] = response.response_range.count > 0
        as_they_were = [
            Compare(
                result=CompareResult.GREATER if known[put.key] else CompareResult.EQUAL,
                target=CompareTarget.CREATE,
                key=keys.raw(put.key),
                create_revision=0,
            )
            for put in doubtful
        ]
        request = TxnRequest(
            compare=(*compares, *as_they_were),
            success=tuple([_operation(keys, change, known) for change in changes]),
            failure=(verdict,),
        )
        reply = await calls.commit(request, about, timeout_s=max(0.001, ends_at - seconds()))
        if reply.succeeded:
            return revision_of(reply)
        guarded = reply.responses[0].response_txn
        if guarded is None or not guarded.succeeded:
            return None
    raise TimedOut(f"{about}: the keys came and went all the time", maybe=False)
