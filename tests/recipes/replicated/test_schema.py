"""What a class says in bytes; and which classes are refused, with a reason."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import msgspec
import pytest

import agreed
from agreed.errors import ConfigurationError
from agreed.recipes.errors import CodecError
from agreed.recipes.replicated.schema import Schema
from agreed.recipes.replicated.stamps import stamped
from tests.recipes.replicated.objects import Raffle
from tests.recipes.replicated.shops import ShopOf3


class Point(NamedTuple):
    x: int
    of: frozenset[str] = frozenset()


class Shelf(msgspec.Struct, frozen=True, tag=True):
    names: set[str]


@dataclass(frozen=True)
class Seat:
    names: frozenset[int]


@agreed.replicated
@dataclass
class Everything:
    kinds: ClassVar[int] = 3
    numbers: dict[int, float] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    nested: list[Shelf | None] = field(default_factory=list)
    seats: dict[str, Seat] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    raw: bytes = b""

    @agreed.command
    def put(self, first: int, /, second: int = 2, *, third: tuple[int, ...] = (3,)) -> int:
        self.numbers[first] = second + sum(third)
        return len(self.numbers)


def test_a_state_is_read_again_as_it_was_written() -> None:
    schema = Schema(Everything)
    assert list(schema.fields) == ["numbers", "seen", "nested", "seats", "points", "raw"]
    state = Everything(
        {2: 0.5, 1: 1e100},
        {"b", "a"},
        [None, Shelf({"z", "y"})],
        {"x": Seat(frozenset({3, 1}))},
        [Point(1, frozenset("ba"))],
        b"\x00\xff",
    )
    raw = schema.encode(state)
    assert raw == (
        b'{"numbers":{"2":0.5,"1":1e100},"seen":["a","b"],"nested":[null,{"type":"Shelf","names":["y","z"]}],'
        b'"seats":{"x":{"names":[1,3]}},"points":[[1,["a","b"]]],"raw":"AP8="}'
    )
    again = schema.decode(raw)
    assert again == state
    assert list(again.numbers) == [2, 1]
    assert schema.encode(again) == raw
    assert schema.decode(schema.initial) == Everything()


def test_the_bytes_of_sets_are_the_same_in_every_process() -> None:
    words = {str(number) for number in range(50)}
    program = (
        "from tests.recipes.replicated.test_schema import Everything, Schema, Shelf\n"
        "words = {str(number) for number in range(50)}\n"
        "print(Schema(Everything).encode(Everything(seen=words, nested=[Shelf(words)])).decode())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join([*filter(None, sys.path), "."]), "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
    ).stdout
    assert told.strip() == Schema(Everything).encode(Everything(seen=words, nested=[Shelf(words)]))


def test_arguments_go_by_name_and_with_their_defaults() -> None:
    put = Schema(Everything).commands["put", 1]
    raw = put.encode((1,), {"third": (5, 6)})
    assert raw == b'{"first":1,"second":2,"third":[5,6]}'
    state = Everything()
    assert put.run(state, raw) == 1
    assert state.numbers == {1: 13}
    assert put.run(state, b'{"first":7}') == 2
    assert state.numbers[7] == 5
    for wrong in (b"{}", b'{"first":"1"}', b'{"first":1,"fourth":1}', b"[1]", b""):
        with pytest.raises(CodecError):
            put.run(state, wrong)
    for arguments, named in ((), {}), ((1, 2, 3), {}), ((1,), {"fourth": 4}), ((), {"first": 1}):
        with pytest.raises(TypeError):
            put.encode(arguments, named)
    with pytest.raises(CodecError):
        put.encode((1.5,), {})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda state: setattr(state, "more", 1), "more"),
        (lambda state: delattr(state, "seen"), "seen"),
        (lambda state: setattr(state, "raw", object()), "object"),
        (lambda state: state.points.append(state.points), "recursion"),
    ],
)
def test_what_is_no_state_is_not_written(change: Any, why: str) -> None:
    state = Everything()
    change(state)
    with pytest.raises(CodecError, match=why):
        Schema(Everything).encode(state)


def test_a_class_with_slots_and_private_names_is_as_good() -> None:
    @agreed.replicated
    class Slotted:
        __slots__ = ("__secret", "open")
        __secret: int
        open: int

        def __init__(self) -> None:
            self.__secret = 1
            self.open = 2

    schema = Schema(Slotted)
    assert schema.initial == b'{"_Slotted__secret":1,"open":2}'
    assert schema.encode(schema.decode(schema.initial)) == schema.initial


def test_a_descendant_has_the_commands_of_its_ancestors_and_a_version_of_its_own() -> None:
    @agreed.replicated(version=4)
    class More(Everything):
        @agreed.command(since=4)
        def put(self, first: int, /, second: int = 2, *, third: tuple[int, ...] = (3,)) -> int:
            return 0

        @agreed.command(since=2)
        def clear(self) -> None:
            self.numbers.clear()

    schema = Schema(More)
    assert schema.version == 4
    assert set(schema.commands) == {("put", 4), ("clear", 2)}

    class Unmarked(Everything):
        pass

    with pytest.raises(ConfigurationError, match="Unmarked"):
        Schema(Unmarked)


class Bad:
    """Each of these classes has one mistake."""

    class unmarked:
        pass

    @agreed.replicated
    class undeclared_attribute:
        def __init__(self) -> None:
            self.left = 0

    @agreed.replicated
    class unset_attribute:
        left: int

    @agreed.replicated
    class begins_wrong:
        left: int = "0"  # type: ignore[assignment]

    @agreed.replicated
    class cannot_be_kept:
        left: object | subprocess.Popen[bytes] | None = None

    @agreed.replicated
    class needs_arguments:
        left: int

        def __init__(self, left: int) -> None:
            self.left = left

    @agreed.replicated
    class unknown_type:
        left: Nowhere  # type: ignore[name-defined]  # noqa: F821

    @agreed.replicated
    class structure(msgspec.Struct):
        left: int = 0

    @agreed.replicated
    class untyped_argument:
        @agreed.command
        def work(self, number) -> None: ...  # type: ignore[no-untyped-def]

    @agreed.replicated
    class untyped_result:
        @agreed.query
        def work(self): ...  # type: ignore[no-untyped-def]

    @agreed.replicated
    class any_number:
        @agreed.command
        def work(self, *numbers: int) -> None: ...

    @agreed.replicated
    class any_name:
        @agreed.command
        def work(self, **numbers: int) -> None: ...

    @agreed.replicated
    class waits:
        @agreed.command
        async def work(self) -> None: ...

    @agreed.replicated
    class yields:
        @agreed.query
        async def work(self) -> AsyncIterator[int]:
            yield 1

    @agreed.replicated
    class unwritable_argument:
        @agreed.command
        def work(self, of: subprocess.Popen[bytes]) -> None: ...

    @agreed.replicated(version=2)
    class too_new:
        @agreed.command(since=3)
        def work(self) -> None: ...

    @agreed.replicated
    class the_same_twice:
        @agreed.command
        def work(self) -> None: ...

        @agreed.command(name="work")
        def labour(self) -> None: ...


@pytest.mark.parametrize("name", [name for name in vars(Bad) if not name.startswith("__")])
def test_a_class_that_cannot_be_replicated_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Schema(vars(Bad)[name])


def test_of_an_older_state_nothing_is_lost_in_silence() -> None:
    schema = Schema(ShopOf3)
    assert schema.upgraded(2, b'{"left":{"a":1},"taken":2}') == b'{"left":{"a":1},"taken":2,"closed":false}'
    for wrong in (b'{"left":{},"taken":2,"gone":1}', b'{"left":[]}', b"[]", b""):
        with pytest.raises(CodecError, match="of version 2"):
            schema.upgraded(2, wrong)


def test_versions_are_counted_from_one() -> None:
    with pytest.raises(ConfigurationError):
        agreed.replicated(version=0)


def test_what_comes_back_is_what_counts() -> None:
    """A `defaultdict` is a dict after the first command, on every replica."""

    @agreed.replicated
    class Counts:
        counts: dict[str, int]

        def __init__(self) -> None:
            self.counts = defaultdict(int)

    assert type(Schema(Counts).decode(Schema(Counts).initial).counts) is dict


def test_an_object_can_be_tried_without_a_cluster() -> None:
    raffle = Raffle()
    with pytest.raises(RuntimeError, match="only a command"):
        raffle.draw()
    with stamped(now_ms=5, seed=1):
        first = raffle.draw()
    with stamped(now_ms=6, seed=1):
        assert raffle.draw() == first
    assert raffle.times == [5, 6]
    with pytest.raises(RuntimeError, match="only a command"):
        raffle.draw()
