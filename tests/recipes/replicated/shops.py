"""One class in the versions through which it went, as programs of different age have it.

1   stock by name
2   how many were taken in all is counted as well; one can give back; taking more than there is takes what
    there is, where version 1 raised
3   nobody reads any more what version 1 wrote of `take`
"""

from __future__ import annotations

from typing import Any

import agreed


@agreed.replicated
class ShopOf1:
    left: dict[str, int]

    def __init__(self) -> None:
        self.left = {}

    @agreed.command
    def put(self, what: str, number: int) -> None:
        self.left[what] = self.left.get(what, 0) + number

    @agreed.command
    def take(self, what: str, number: int) -> int:
        if self.left[what] < number:
            raise ValueError(what)
        self.left[what] -= number
        return number

    @agreed.query
    def level(self, what: str) -> int:
        return self.left[what]


@agreed.replicated(version=2)
class ShopOf2:
    left: dict[str, int]
    taken: int

    def __init__(self) -> None:
        self.left = {}
        self.taken = 0

    @classmethod
    def upgrade(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        assert version == 1
        return {**data, "taken": 0}

    @agreed.command
    def put(self, what: str, number: int) -> None:
        self.left[what] = self.left.get(what, 0) + number

    @agreed.command(name="take")
    def take_of_version_1(self, what: str, number: int) -> int:
        if self.left[what] < number:
            raise ValueError(what)
        self.left[what] -= number
        return number

    @agreed.command(since=2)
    def take(self, what: str, number: int) -> int:
        taken = min(number, self.left[what])
        self.left[what] -= taken
        self.taken += taken
        return taken

    @agreed.command(since=2)
    def give_back(self, what: str, number: int) -> None:
        self.left[what] += number
        self.taken -= number

    @agreed.query
    def level(self, what: str) -> int:
        return self.left[what]

    @agreed.query
    def all_taken(self) -> int:
        return self.taken


@agreed.replicated(version=3)
class ShopOf3:
    left: dict[str, int]
    taken: int
    closed: bool

    def __init__(self) -> None:
        self.left = {}
        self.taken = 0
        self.closed = False

    @agreed.command
    def put(self, what: str, number: int) -> None:
        self.left[what] = self.left.get(what, 0) + number

    @agreed.command(since=2)
    def take(self, what: str, number: int) -> int:
        taken = min(number, self.left[what])
        self.left[what] -= taken
        self.taken += taken
        return taken

    @agreed.query
    def level(self, what: str) -> int:
        return self.left[what]

    @agreed.query
    def is_closed(self) -> bool:
        return self.closed
