"""Messages to and from protobuf, as gRPC carries them.

Our own reader and writer, because the messages are plain structs that the store's machines can hold, compare
and print, and because nothing of Google's runtime has to be installed; that runtime is the oracle of the
tests instead.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar, cast

import msgspec

from agreed.errors import MalformedInput
from agreed.wire.etcd.protobuf_decoding import CUT, MAX_DEPTH, defaults_of, reader
from agreed.wire.etcd.protobuf_encoding import encoder

M = TypeVar("M", bound=msgspec.Struct)


def encode(message: msgspec.Struct) -> bytes:
    return encoder(type(message))(message)


def decode(kind: type[M], data: bytes) -> M:
    """Raises MalformedInput."""
    return cast(M, decoder(kind)(data))


@cache
def decoder(kind: type[M]) -> Callable[[bytes], M]:
    """The function that reads messages of that type; it raises MalformedInput, and nothing else."""
    fill, build = reader(kind)
    defaults = defaults_of(kind)

    def decode_one(data: bytes) -> M:
        values = defaults.copy()
        try:
            fill(values, data, 0, len(data), MAX_DEPTH)
        except IndexError:
            raise MalformedInput(CUT) from None
        return cast(M, build(values))

    return decode_one


__all__ = ["decode", "decoder", "encode", "encoder"]
