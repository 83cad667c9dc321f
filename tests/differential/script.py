"""A script: what clients do, step by step, written so that it can be kept in a file and played again.

What the steps are is each protocol's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Self, TypeVar

import msgspec


class Step(msgspec.Struct, frozen=True):
    def describe(self) -> str:
        """In one line, for people."""
        raise NotImplementedError

    def smaller(self) -> Iterator[Self]:
        """The same with one thing less, for each thing that can be left out."""
        return iter(())


S = TypeVar("S", bound=Step)


class Script(msgspec.Struct, Generic[S], frozen=True):
    """`seed` tells where it came from; the steps alone say what is done."""

    seed: str
    steps: tuple[S, ...]

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        return msgspec.json.decode(data, type=cls)

    def lines(self) -> list[str]:
        return [f"{number:3} {step.describe()}" for number, step in enumerate(self.steps)]


AScript = TypeVar("AScript", bound=Script[Any])
