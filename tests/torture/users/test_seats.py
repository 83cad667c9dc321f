"""User processes: what is done to them, and what is said of those who do not do as they are told."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agreed.torture.users import grounds, work
from agreed.torture.users.grounds import Staff, life_of, serving
from agreed.torture.users.seats import KINDS, Seat, Seats

DEADLINE_S = 60.0


@pytest.fixture
def seats(tmp_path: Path) -> Iterator[Seats]:
    """Two users that sleep."""
    made = Seats(
        [Seat(number, lambda life: ["sleep", "600"], tmp_path / f"u{number}.log") for number in (1, 2)], 0.1
    )
    made.start()
    yield made
    made.stop()
    assert not any(seat.running for seat in made.seats)


def played(seats: Seats, seconds: float) -> None:
    async def nobody() -> str:
        return ""

    async def story() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await seats.play(seconds, random.Random(1), lambda sentence: None, nobody)

    asyncio.run(story())


def test_whatever_befalls_them_all_of_them_run_at_the_end(
    seats: Seats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agreed.torture.users.seats.RATE_PER_SEAT", 20.0)
    monkeypatch.setattr("agreed.torture.users.seats.ABSENT_S", 0.01)
    played(seats, 0.5)
    assert set(seats.played) <= set(KINDS)
    assert seats.played.total()
    assert all(seat.running and not seat.troubled for seat in seats.seats)
    assert all(seat.process and not seat.process.paused for seat in seats.seats)
    assert sum(seat.life for seat in seats.seats) == 2 + seats.played["user-kill"]
    assert seats.problems == []


def test_who_ends_by_himself_is_a_problem_and_is_followed_by_somebody_new(seats: Seats) -> None:
    first = seats.seats[0]
    assert first.process is not None
    first.process.kill()
    seats.notice_the_dead()
    assert [first.who, first.running] == ["u1.2", True]
    (problem,) = seats.problems
    assert problem.startswith("user u1.1 ended by itself with -9")


def test_who_does_not_leave_in_time_is_a_problem_and_so_is_who_leaves_with_an_error(seats: Seats) -> None:
    first = seats.seats[0]
    assert first.process is not None
    first.process.kill()
    asyncio.run(seats.until_all_left(0.1))
    left, stayed = seats.problems
    assert left.startswith("user u1.1 left with -9")
    assert stayed == "user u2.1 did not leave in 0 s"


def test_the_process_that_listens_is_known(tmp_path: Path) -> None:
    assert serving(tmp_path / "socket") is None
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        assert serving(tmp_path / "socket") == os.getpid()


def test_a_user_is_told_everything_in_one_argument(tmp_path: Path) -> None:
    staff = Staff(2, ["lock", "queue"], tmp_path, 7)
    command = staff.command(2, 3, "agreed://127.0.0.1:1/users", 5.0)
    assert command[:-1] == list(grounds.PROGRAM)
    task = work.decode(command[-1])
    assert task == staff.task(2, 3, "agreed://127.0.0.1:1/users", 5.0)
    assert (task.who, task.synchronous, task.recipes) == ("u2.3", True, ("lock", "queue"))
    assert task.diary == tmp_path / "diaries" / "u2.3.jsonl"
    assert life_of(command) == 3
    assert not task.finishing
    (tmp_path / work.FINISH).touch()
    assert task.finishing
