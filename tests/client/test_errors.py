"""Which answers mean that nothing was done, and which leave it open."""
from __future__ import annotations

import pytest

from agreed.client.errors import (
    BadVersion,
    ClientError,
    ConnectionLost,
    Forked,
    NodeExists,
    Refused,
    TimedOut,
    UnknownAnswer,
    error_of,
)
from agreed.wire.zookeeper.messages import ErrorCode

SURE = [
    ErrorCode.NO_NODE, ErrorCode.NODE_EXISTS, ErrorCode.BAD_VERSION, ErrorCode.NOT_EMPTY, ErrorCode.NO_AUTH,
    ErrorCode.NO_CHILDREN_FOR_EPHEMERALS, ErrorCode.INVALID_ACL, ErrorCode.BAD_ARGUMENTS,
    ErrorCode.QUOTA_EXCEEDED, ErrorCode.UNIMPLEMENTED, ErrorCode.SESSION_MOVED, ErrorCode.THROTTLED,
]  # fmt: skip
OPEN = [ErrorCode.SYSTEM_ERROR, ErrorCode.OPERATION_TIMEOUT, ErrorCode.RUNTIME_INCONSISTENCY, -9999]


@pytest.mark.parametrize("code", SURE)
def test_surely_not_done(code: int) -> None:
    error = error_of(code, "/a")
    assert error.surely_not_done
    assert not error.maybe


@pytest.mark.parametrize("code", OPEN)
def test_perhaps_done(code: int) -> None:
    error = error_of(code, "/a")
    assert isinstance(error, UnknownAnswer)
    assert error.maybe
    assert error.code == code


def test_a_refusal_says_where() -> None:
    error = error_of(ErrorCode.BAD_VERSION, "/a/b", 3)
    assert isinstance(error, BadVersion)
    assert (error.path, error.index) == ("/a/b", 3)
    assert str(error) == "/a/b (operation 3 of a multi)"
    assert str(NodeExists("/a")) == "/a"


def test_what_is_said_of_what_was_not_answered() -> None:
    assert str(ConnectionLost("gone", maybe=True)) == "gone; it may have been done"
    assert str(ConnectionLost("gone", maybe=False)) == "gone; it was not done"
    assert isinstance(TimedOut("late", maybe=True), TimeoutError)
    assert not isinstance(TimedOut("late", maybe=True), Refused)
    assert isinstance(Forked(), ClientError)
