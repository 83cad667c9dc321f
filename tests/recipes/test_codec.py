"""A value comes back as it was, or whoever is wrong about its type is told."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Any, Self, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.recipes.codec import codec_of
from agreed.recipes.errors import CodecError


@dataclasses.dataclass
class Address:
    host: str
    port: int = 80


class Settings(msgspec.Struct):
    limit: float
    where: list[Address]
    since: datetime.datetime | None = None


class Colour(enum.Enum):
    RED = "red"


class Options(TypedDict):
    colour: Colour


class Tree(msgspec.Struct):
    branches: list[Tree] = []


class Model:
    """What a model of pydantic looks like from outside."""

    def __init__(self, number: int) -> None:
        self.number = number

    @classmethod
    def model_validate_json(cls, raw: bytes) -> Self:
        return cls(int(raw))

    def model_dump_json(self) -> str:
        return str(self.number)


class Private:
    pass


@dataclasses.dataclass
class WithPrivate:
    things: list[Private]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (bytes, b"\xff\0"),
        (str, "zwölf"),
        (int, 12),
        (float, 1.5),
        (bool, True),
        (Address, Address("a", 1)),
        (Settings, Settings(2.0, [Address("a")], datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))),
        (Options, {"colour": Colour.RED}),
        (Tree, Tree([Tree(), Tree([Tree()])])),
        (dict[str, list[int]], {"a": [1]}),
        (int | None, None),
        (Any, ["whatever", {"is": 1}]),
    ],
)
def test_what_is_written_is_read(kind: Any, value: object) -> None:
    codec = codec_of(kind)
    raw = codec.encode(value)
    assert isinstance(raw, bytes)
    assert codec.decode(raw) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (bytes, "text"),
        (str, b"bytes"),
        (str, "\ud800"),
        (int, "12"),
        (int, Private()),
        (Address, Address("a", "80")),  # type: ignore[arg-type]
        (Options, {}),
        (float, float("nan")),
        (Model, 12),
    ],
)
def test_a_value_of_another_type_is_not_written(kind: Any, value: object) -> None:
    with pytest.raises(CodecError):
        codec_of(kind).encode(value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [(str, b"\xff"), (int, b'"12"'), (int, b""), (Address, b'{"host": 1}'), (Model, b"x"), (Tree, b"[")],
)
def test_bytes_of_something_else_are_not_read(kind: Any, raw: bytes) -> None:
    with pytest.raises(CodecError):
        codec_of(kind).decode(raw)


@pytest.mark.parametrize("kind", [Private, WithPrivate, list[Private], dict[str, Private], int | Private])
def test_a_type_that_nobody_could_read_back_is_refused_before_anything_is_written(kind: Any) -> None:
    with pytest.raises(CodecError, match="Private"):
        codec_of(kind)


def test_a_model_writes_and_reads_itself() -> None:
    codec = codec_of(Model)
    assert codec.encode(Model(12)) == b"12"
    assert codec.decode(b"12").number == 12


def test_a_model_of_pydantic_does_so_too() -> None:
    model: Any = pydantic.create_model("Limits", rate=(int, ...))
    codec: Any = codec_of(model)
    assert codec.decode(codec.encode(model(rate=3))) == model(rate=3)
    with pytest.raises(CodecError):
        codec.decode(b'{"rate": "many"}')


@settings(max_examples=50)
@given(st.binary(max_size=40))
def test_no_bytes_do_worse_than_a_codec_error(raw: bytes) -> None:
    for kind in (str, int, Address, Settings, Tree):
        try:
            codec_of(kind).decode(raw)
        except CodecError:
            pass
