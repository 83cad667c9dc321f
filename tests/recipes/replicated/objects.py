"""Classes that are replicated in the tests beside this file."""

from __future__ import annotations

import random
import time

import agreed


class Refused(Exception):
    pass


@agreed.replicated
class Journal:
    """Its `total` depends on the order of all that was added, and `lines` tell that order."""

    lines: list[tuple[str, int]]
    total: int

    def __init__(self) -> None:
        self.lines = []
        self.total = 1

    @agreed.command
    def add(self, who: str, amount: int) -> tuple[int, int]:
        self.lines.append((who, amount))
        self.total = (self.total * 31 + amount) % 1_000_003
        if self.total % 4 == 0:
            raise Refused(f"{who} {amount}")
        return len(self.lines), self.total

    @agreed.query
    def length(self) -> int:
        return len(self.lines)

    @agreed.query
    def all_lines(self) -> list[tuple[str, int]]:
        return self.lines


@agreed.replicated
class Bank:
    accounts: dict[str, int]

    def __init__(self) -> None:
        self.accounts = {}

    @agreed.command
    def deposit(self, account: str, amount: int) -> int:
        self.accounts[account] = self.accounts.get(account, 0) + amount
        return self.accounts[account]

    @agreed.command
    def transfer(self, source: str, target: str, amount: int = 1) -> None:
        self.accounts[source] = self.accounts.get(source, 0) - amount
        self.accounts[target] = self.accounts.get(target, 0) + amount
        if self.accounts[source] < 0:
            raise Refused(source)

    @agreed.command
    def give(self, account: str) -> dict[str, int]:
        """What is wrong in the end: an account that is no number."""
        self.accounts[account] = account  # type: ignore[assignment]
        return self.accounts

    @agreed.command
    def end(self) -> str:
        return next(iter(self.accounts))

    @agreed.query
    def balance(self, account: str) -> int:
        return self.accounts[account]

    @agreed.query
    def all_accounts(self) -> dict[str, int]:
        return self.accounts


@agreed.replicated
class Text:
    text: str

    def __init__(self) -> None:
        self.text = ""

    @agreed.command
    def append(self, more: str) -> int:
        self.text += more
        return len(self.text)

    @agreed.command
    def repeat(self, times: int) -> int:
        self.text *= times
        return len(self.text)

    @agreed.query
    def length(self) -> int:
        return len(self.text)


@agreed.replicated
class Raffle:
    times: list[int]
    drawn: list[float]

    def __init__(self) -> None:
        self.times = []
        self.drawn = []

    @agreed.command
    def draw(self) -> float:
        self.times.append(agreed.now_ms())
        self.drawn.append(agreed.random().random() + agreed.random().random())
        return self.drawn[-1]

    @agreed.query
    def all_times(self) -> list[int]:
        return self.times


@agreed.replicated
class Careless:
    """What it does depends on where it is done."""

    numbers: list[float]

    def __init__(self) -> None:
        self.numbers = []

    @agreed.command
    def draw(self) -> None:
        self.numbers.append(random.random())

    @agreed.command
    def wait(self) -> None:
        self.numbers.append(time.perf_counter())

    @agreed.command
    def add(self, number: float) -> int:
        self.numbers.append(number)
        return len(self.numbers)

    @agreed.query
    def count(self) -> int:
        return len(self.numbers)


@agreed.replicated(version=2)
class Careful:
    """The same, mended."""

    numbers: list[float]

    def __init__(self) -> None:
        self.numbers = []

    @agreed.command
    def draw(self) -> None:
        self.numbers.append(agreed.random().random())

    @agreed.command
    def add(self, number: float) -> int:
        self.numbers.append(number)
        return len(self.numbers)

    @agreed.query
    def count(self) -> int:
        return len(self.numbers)


@agreed.replicated
class Twins:
    """Its two lists are one as long as a command lasts."""

    one: list[int]
    other: list[int]
    weight: float

    def __init__(self) -> None:
        self.one = []
        self.other = []
        self.weight = 0.0

    @agreed.command
    def join(self) -> None:
        self.other = self.one
        self.weight = 1

    @agreed.command
    def add(self, number: int) -> str:
        self.one.append(number)
        return f"{self.weight}"

    @agreed.query
    def both(self) -> tuple[list[int], list[int]]:
        return self.one, self.other
