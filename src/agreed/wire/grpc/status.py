"""How a call ends: a code, and a sentence for people (and for clients that compare it).

The codes are those of gRPC (doc/statuscodes.md); numbers and meanings are fixed for ever.
"""
from __future__ import annotations

from enum import IntEnum

import msgspec


class Code(IntEnum):
    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class Status(msgspec.Struct, frozen=True, gc=False):
    """`message` travels percent-encoded in `grpc-message`; empty where there is nothing to say."""

    code: Code
    message: str = ""


OK = Status(Code.OK)
