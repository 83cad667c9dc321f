"""The Lock service: who stands first in a row holds the lock (`rows.py`).

The key that `Lock` returns is the proof: it exists as long as the lock is held.  `Unlock` deletes it, and
any other key it is given: so does etcd.  The lock is fenced by whoever compares the create_revision of that
key in the transactions that it guards, and by nobody else.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.rows import Place, Rows, as_unknown
from agreed.store.commands import DeleteRange, Transaction
from agreed.store.records import Record
from agreed.store.results import Refusal, Result
from agreed.wire.etcd import errors, translate
from agreed.wire.etcd.messages import LockRequest, LockResponse, UnlockRequest, UnlockResponse

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients


class LockService:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._rows = Rows(front)

    def handlers(self) -> Mapping[str, Callable[[Call, Any], None]]:
        return {"/v3lockpb.Lock/Lock": self.lock, "/v3lockpb.Lock/Unlock": self.unlock}

    def lock(self, call: Call, request: LockRequest) -> None:
        def entered(place: Place, record: Record | None) -> None:
            self._rows.wait(place, lambda: held(place), errors.LOCK_SESSION_EXPIRED)

        def held(place: Place) -> None:
            call.reply(LockResponse(self._front.header(), place.key))

        self._rows.enter(call, request.name, request.lease, b"", entered)

    def unlock(self, call: Call, request: UnlockRequest) -> None:
        """Also of what is not locked."""
        front = self._front

        def applied(result: Result) -> None:
            if isinstance(result, Refusal):
                call.fail(as_unknown(translate.status_of(result)))
            else:
                call.reply(UnlockResponse(front.header()))

        if request.key:
            front.submit(call, Transaction((), (DeleteRange(request.key, None),), ()), applied)
        else:
            call.fail(errors.UNLOCK_EMPTY_KEY)
