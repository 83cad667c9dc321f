"""Passwords are hashed and checked outside of the node, for both take their time on purpose.

    passwords.hash(password, then)              then(hash), or then(None) where it cannot be hashed
    passwords.check(password, hash, then)       then(whether it is the one)

A hash is bcrypt's, as in etcd; so users can be taken over from an etcd, and back.  Who was right once need
not wait the next time: of a login that was good, a fast hash with a salt of this process is remembered (not
the password), until the user's password changes or there were `REMEMBERED_MOST` others.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from agreed.replica.events import CheckPassword, HashPassword, PasswordDone

if TYPE_CHECKING:
    from agreed.replica.replica import Replica

REMEMBERED_MOST: Final = 10_000
WAITING_MOST: Final = 200
"""At twenty a second: more would wait for longer than anybody waits for an answer."""

BCRYPT_BYTES: Final = 72
"""bcrypt looks at no more of a password, and Go's passes the rest over in silence."""


class Passwords:
    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._salt = replica.entropy(16)
        self._next_job = 1
        self._waiting: dict[int, Callable[[bytes | bool | None], None]] = {}
        self._good: dict[tuple[bytes, bytes], None] = {}

    @property
    def busy(self) -> bool:
        return len(self._waiting) >= WAITING_MOST

    def hash(self, password: str, then: Callable[[bytes | None], None]) -> None:
        def done(outcome: bytes | bool | None) -> None:
            then(outcome if isinstance(outcome, bytes) else None)

        data = _bytes(password)
        self._replica.effects.passwords.append(
            HashPassword(self._job(done), data, self._replica.settings.etcd_bcrypt_cost)
        )

    def check(self, password: str, password_hash: bytes, then: Callable[[bool], None]) -> None:
        data = _bytes(password)
        seen = (password_hash, hashlib.sha256(self._salt + data).digest())
        if seen in self._good:
            then(True)
            return

        def done(outcome: bytes | bool | None) -> None:
            if outcome is True:
                self._good[seen] = None
                if len(self._good) > REMEMBERED_MOST:
                    del self._good[next(iter(self._good))]
            then(outcome is True)

        self._replica.effects.passwords.append(CheckPassword(self._job(done), data, password_hash))

    def done(self, event: PasswordDone) -> None:
        waiting = self._waiting.pop(event.job, None)
        if waiting is not None:
            waiting(event.outcome)

    def _job(self, done: Callable[[bytes | bool | None], None]) -> int:
        job = self._next_job
        self._next_job += 1
        self._waiting[job] = done
        return job


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")[:BCRYPT_BYTES]
