"""What a user writes down survives it, and says at each moment what is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from agreed.check.grants import Acknowledgement, Put, Tenure
from agreed.check.history import Status
from agreed.client.errors import ConnectionLost
from agreed.recipes.errors import AcquireTimeout, LockLost
from agreed.torture.users.diary import (
    Acknowledged,
    Certain,
    Diary,
    Failed,
    Finished,
    Kept,
    Line,
    Looked,
    Putting,
    now,
    read,
    status_of,
)
from agreed.torture.users.judging import Written, read_all


class Held:
    """A grant, for as long as it is told."""

    token = 7

    def __init__(self, remaining_s: float) -> None:
        self._remaining_s = remaining_s

    def check(self) -> None:
        if self._remaining_s < 0:
            raise LockLost("it is")

    def remaining(self) -> float:
        return self._remaining_s


def written(directory: Path, recipe: str) -> Written:
    return read_all(directory, [recipe], [])[recipe]


def test_a_tenure_is_read_from_its_lines(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "u1.1.jsonl")
    asked = now()
    number = diary.granted("lock", "locks/a", Held(1), asked)
    before = now()
    diary.is_certain(number, Held(5))
    diary.is_certain(number, Held(2))
    diary.ending(number)
    diary.ending(number)
    (tenure,) = written(tmp_path, "lock").tenures
    assert isinstance(tenure, Tenure)
    assert (tenure.name, tenure.holder, tenure.token, tenure.asked) == ("locks/a", "u1.1/lock", 7, asked)
    assert asked <= tenure.obtained <= before
    assert tenure.certain_until is not None
    assert before + 5_000_000_000 <= tenure.certain_until <= now() + 5_000_000_000
    assert tenure.ended is not None
    assert tenure.certain == (tenure.obtained, tenure.ended)


def test_who_is_not_certain_writes_nothing(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "u1.1.jsonl")
    number = diary.granted("lock", "locks/a", Held(1), now())
    with pytest.raises(LockLost):
        diary.is_certain(number, Held(-1))
    diary.is_certain(number, Held(0))
    (tenure,) = written(tmp_path, "lock").tenures
    assert tenure.certain is None
    assert tenure.ended is None


def test_a_line_that_was_cut_off_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "u1.1.jsonl"
    Diary(file).write(Finished("lock", 3))
    with file.open("ab") as appending:
        appending.write(b'{"type":"Finished","rec')
    assert read(file) == [Finished("lock", 3)]
    assert read(tmp_path / "nobody.jsonl") == []


def test_what_no_line_ends_may_have_been_done(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "u2.1.jsonl")
    for job in ("killed", "kept", "refused"):
        diary.write(Putting(job))
    diary.write(Kept("kept", Status.OK))
    diary.write(Kept("refused", Status.FAIL))
    numbers = [diary.granted("queue", job, Held(1), now()) for job in ("killed", "kept", "held")]
    for number in numbers[:2]:
        diary.ending(number, acknowledges=True)
    diary.ending(numbers[2])
    diary.write(Acknowledged(numbers[1], Status.OK))
    queue = written(tmp_path, "queue")
    assert queue.puts == [
        Put(job="killed", status=Status.INFO),
        Put(job="kept", status=Status.OK),
        Put(job="refused", status=Status.FAIL),
    ]
    assert queue.acknowledgements == [
        Acknowledgement(job="killed", token=7, holder="u2.1/queue", status=Status.INFO),
        Acknowledgement(job="kept", token=7, holder="u2.1/queue", status=Status.OK),
    ]


def test_looks_failures_and_ends_are_counted(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "u3.2.jsonl")
    lines: list[Line] = [
        Looked("elections/a", 1, 2, None),
        Failed("election", "LeadershipLost('it is')"),
        Failed("connect", "TimedOut()"),
        Certain(9, 9),
        Finished("election", 4),
    ]
    for line in lines:
        diary.write(line)
    election = written(tmp_path, "election")
    assert [(look.by, look.token) for look in election.looks] == [("u3.2", None)]
    assert election.failures == {"LeadershipLost": 1}
    assert election.lost == 1
    assert election.finished == {"u3.2"}


def test_what_is_known_of_how_it_ended() -> None:
    assert status_of(None) is Status.OK
    assert status_of(AcquireTimeout("late")) is Status.FAIL
    assert status_of(ConnectionLost("perhaps", maybe=True)) is Status.INFO
    assert status_of(ConnectionLost("never left", maybe=False)) is Status.FAIL
    assert status_of(KeyboardInterrupt()) is Status.INFO
