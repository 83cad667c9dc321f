"""No command stops a node, whatever it contains: an entry that did would be applied again at every start, on
all nodes at once (as it happened to etcd)."""

from __future__ import annotations

import functools
import types
import typing
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.store.commands import Batch, Command, Payload
from agreed.store.invariants import check
from agreed.store.machine import Restorer, Store
from tests.store import drawn

NUMBERS = (*range(-2, 7), 31, 1 << 31, (1 << 63) - 1, 1 << 63, -(1 << 63))
POOL: dict[object, st.SearchStrategy[Any]] = {
    int: st.sampled_from(NUMBERS),
    bytes: st.sampled_from((b"", b"k", b"l", b"/a", b"/a/b", b"\0", b"\xff\xff", b"/zookeeper/quota/a")),
    str: st.sampled_from(("", "root", "u", "n1", "world", "anyone", "version", "value", "=", "<", "\ud7ff")),
    bool: st.booleans(),
    types.NoneType: st.none(),
}
"""Mostly what means something somewhere."""


@functools.cache
def of(hint: Any, depth: int) -> st.SearchStrategy[Any]:
    """Anything of this type that could come out of the log."""
    if hint in POOL:
        return POOL[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return st.sampled_from((0, 0, 0, 1))
    if origin in (typing.Union, types.UnionType):
        return st.one_of([of(one, depth) for one in arguments])
    if origin is tuple and arguments[-1] is ...:
        if depth == 0:
            return st.just(())
        return st.lists(of(arguments[0], depth - 1), max_size=3).map(tuple)
    fields = typing.get_type_hints(hint, include_extras=True)
    return st.builds(hint, **{name: of(kind, depth) for name, kind in fields.items()})


# A transaction ends, at the third level, with ones that hold nothing.
commands = st.one_of([of(kind, 3) for kind in typing.get_args(Command)])
encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Payload)


@settings(max_examples=200)
@given(st.lists(st.one_of(commands, commands, drawn.etcd_commands, drawn.tree_commands), max_size=12))
def test_nothing_that_can_be_written_into_the_log_stops_a_node(some: list[Any]) -> None:
    store = Store()
    for number, command in enumerate([step[2] for step in drawn.GREETING + drawn.ENABLED] + some):
        payload = Payload(1_000, [Batch("n1", 1, number + 1, [command])])
        (read,) = decoder.decode(encoder.encode(payload)).batches[0].commands
        store.begin(1_000 + number)
        before = store.revision
        store.execute(read, "n1")
        assert store.revision - before in (0, 1)
        check(store)
    restorer = Restorer()
    for piece in store.capture().pieces():
        restorer.feed(piece)
    check(restorer.finish())
