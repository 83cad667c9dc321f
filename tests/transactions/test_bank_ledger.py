"""The judge of the bank: stories that must pass, and wrongs that it must see."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.transactions.bank_ledger import ABORTED, COMMITTED, IN_DOUBT, Ledger, Look

Rows = dict[str, int]


def look(database: str, rows: Rows, prepared: tuple[str, ...] = (), balance: int | None = None) -> Look:
    """At a database that had 100 at first; the balance is what the rows say, unless given."""
    balance = 100 + sum(rows.values()) if balance is None else balance
    return Look(database, frozenset(prepared), balance, rows)


def judged(*story: Look | tuple[str, str], close: bool = False) -> list[str]:
    """What the ledger says of looks, and of what clients are told between.  `close`: the last two end it."""
    ledger = Ledger({"left": 100, "right": 100})
    for each in story[:-2] if close else story:
        if isinstance(each, Look):
            ledger.look(each)
        else:
            ledger.told(*each)
    if close:
        ledger.close([each for each in story[-2:] if isinstance(each, Look)])
    return ledger.violations


T = {"t": -5}
BACK = {"t": 5}
NOTHING: Rows = {}

FINE = {
    "seen first where it is committed, then where it is still prepared, then as a row": (
        look("left", T),
        look("right", NOTHING, ("t",)),
        look("left", T),
        look("right", BACK),
    ),
    "committed between two looks": (look("left", NOTHING, ("t",)), look("right", BACK), look("left", T)),
    "prepared, and rolled back": (
        look("left", NOTHING, ("t",)),
        look("right", NOTHING),
        look("left", NOTHING),
    ),
    "told committed, and a branch is still prepared": (
        ("t", COMMITTED),
        look("left", T),
        look("right", NOTHING, ("t",)),
    ),
    "told aborted, and a branch is still prepared": (("t", ABORTED), look("left", NOTHING, ("t",))),
    "in doubt, then known": (("t", IN_DOUBT), look("left", T), look("right", BACK), ("t", COMMITTED)),
    "rows that were shown before are shown again, or not": (
        look("left", T),
        look("right", BACK),
        look("left", T),
        look("right", NOTHING, balance=105),
    ),
}


@pytest.mark.parametrize("story", FINE.values(), ids=FINE)
def test_no_false_alarm(story: tuple[Look | tuple[str, str], ...]) -> None:
    assert judged(*story) == []


WRONG = {
    "the other half was rolled back": (
        (look("left", T), look("right", NOTHING)),
        "neither committed nor prepared",
    ),
    "it was rolled back later": (
        (
            look("left", T),
            look("right", NOTHING, ("t",)),
            look("left", NOTHING, balance=95),
            look("right", NOTHING),
        ),
        "neither committed nor prepared",
    ),
    "told committed, and on neither": ((("t", COMMITTED), look("left", NOTHING)), "a client was told"),
    "told aborted, and committed": ((("t", ABORTED), look("left", T)), "told aborted, and committed at left"),
    "told aborted, after it was seen": (
        (look("left", T), ("t", ABORTED)),
        "told aborted, and committed at left",
    ),
    "told both": ((("t", ABORTED), ("t", COMMITTED)), "told aborted, and committed later"),
    "applied twice under one name": ((look("left", T, balance=90),), "balances 90, rows say 95"),
    "a row that was shown is lost, with its money": (
        (look("left", T), look("right", BACK), look("left", NOTHING)),
        "balances 100, rows say 95",
    ),
    "another amount arrives than was sent": ((look("left", T), look("right", {"t": 4})), "-5 at left"),
}


@pytest.mark.parametrize(("story", "text"), WRONG.values(), ids=WRONG)
def test_it_sees_what_is_wrong(story: tuple[Look | tuple[str, str], ...], text: str) -> None:
    (violation,) = judged(*story)
    assert text in violation


ENDS = {
    "all is finished": ((look("left", T), look("right", BACK)), ""),
    "prepared for ever": ((look("left", T), look("right", NOTHING, ("t",))), "still prepared at right"),
    "half of it": ((look("left", NOTHING), look("right", BACK)), "in the end it is not at left"),
    "it was never applied at the second": (
        (look("left", T), look("right", NOTHING)),
        "in the end 195, at first 200",
    ),
}


@pytest.mark.parametrize(("last", "text"), ENDS.values(), ids=ENDS)
def test_in_the_end_nothing_is_left_over(last: tuple[Look, Look], text: str) -> None:
    violations = judged(*last, close=True)
    assert text in "; ".join(violations)
    assert bool(violations) == bool(text)


def test_a_row_that_is_gone_in_the_end_is_missed() -> None:
    story = (look("left", T), look("right", BACK), look("left", NOTHING, balance=95), look("right", BACK))
    assert any("its row at left is gone" in each for each in judged(*story, close=True))


def test_money_on_its_way_is_counted() -> None:
    ledger = Ledger({"left": 100, "right": 100})
    ledger.look(look("left", {"t": -5, "u": 30}))
    assert ledger.in_doubt == 35
    ledger.look(look("right", {"u": -30}, ("t",)))
    assert (ledger.in_doubt, ledger.most_in_doubt) == (5, 35)


# --- all interleavings ------------------------------------------------------------------------------------


class World:
    """Two databases, correct two-phase commit, and a judge who reads them step by step while it goes on.

    `loses`: the transfer of which one branch is rolled back though it is decided to commit.
    `snapshot_first`: the judge reads in the wrong order.  `hears_late`: what a client is told in the middle
    of a look is counted as told before it."""

    def __init__(
        self, dice: Random, loses: str = "", snapshot_first: bool = False, hears_late: bool = False
    ) -> None:
        self.dice, self.loses = dice, loses
        self.snapshot_first, self.hears_late = snapshot_first, hears_late
        self.told: list[tuple[str, str]] = []
        self.prepared: dict[str, set[str]] = {"left": set(), "right": set()}
        self.rows: dict[str, Rows] = {"left": {}, "right": {}}
        self.ledger = Ledger({"left": 100, "right": 100})

    def transfer(self, name: str) -> Iterator[None]:
        amounts = {"left": -1, "right": 1}
        sides = self.dice.sample(list(amounts), 2)
        commits = self.dice.random() < 0.7 or name == self.loses
        for side in sides if commits else sides[: self.dice.randint(0, 2)]:
            self.prepared[side].add(name)
            yield
        told_early = self.dice.random() < 0.5
        if told_early:
            self.told.append((name, COMMITTED if commits else ABORTED))
        for side in self.dice.sample(sides, 2):
            yield
            if commits and not (name == self.loses and side == sides[0]):
                self.rows[side][name] = amounts[side]
            self.prepared[side].discard(name)
        if not told_early:
            outcome = self.dice.choice((COMMITTED, IN_DOUBT)) if commits else ABORTED
            self.told.append((name, outcome))

    def judge(self, looks: int) -> Iterator[None]:
        for number in range(looks):
            side = ("left", "right")[number % 2]
            self.hear()
            rows, prepared = dict(self.rows[side]), frozenset(self.prepared[side])
            yield
            if self.hears_late:
                self.hear()
            if self.snapshot_first:
                prepared = frozenset(self.prepared[side])
            else:
                rows = dict(self.rows[side])
            self.ledger.look(Look(side, prepared, 100 + sum(rows.values()), rows))
            yield

    def hear(self) -> None:
        for each in self.told:
            self.ledger.told(*each)
        self.told.clear()

    def play(self) -> list[str]:
        """Everything at once, in an order that is drawn; then two looks when all is quiet."""
        running = [self.transfer(f"t{number}") for number in range(6)]
        running.append(self.judge(looks=12))
        while running:
            chosen = self.dice.choice(running)
            if next(chosen, END) is END:
                running.remove(chosen)
        list(self.judge(looks=2))
        return self.ledger.violations


END = object()
RUNS = 400


def test_correct_commits_never_raise_an_alarm_however_they_meet_the_looks() -> None:
    assert [World(Random(seed)).play() for seed in range(RUNS)] == [[]] * RUNS


def test_a_lost_half_is_always_found() -> None:
    for seed in range(RUNS):
        violations = World(Random(seed), loses="t3").play()
        assert any(each.startswith("t3: neither committed nor prepared") for each in violations), seed


def test_a_judge_who_does_things_in_another_order_raises_false_alarms() -> None:
    assert any(World(Random(seed), snapshot_first=True).play() for seed in range(RUNS))
    assert any(World(Random(seed), hears_late=True).play() for seed in range(RUNS))
