"""bcrypt, in a thread: 50 ms each by intention, in which a node must not stand still."""

from __future__ import annotations

from typing import Final

import bcrypt

from agreed.replica.events import CheckPassword, HashPassword, PasswordDone

COST_LEAST: Final = 4
COST_MOST: Final = 31


def work(job: HashPassword | CheckPassword) -> PasswordDone:
    """What bcrypt cannot take (a byte 0 in a password, a hash that is none) has no outcome."""
    try:
        if isinstance(job, HashPassword):
            return PasswordDone(job.job, bcrypt.hashpw(job.password, bcrypt.gensalt(job.cost, b"2a")))
        return PasswordDone(job.job, bcrypt.checkpw(job.password, job.password_hash))
    except ValueError:
        return PasswordDone(job.job, None)
