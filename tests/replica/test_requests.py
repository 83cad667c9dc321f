"""Numbers and tickets: what is under way, what is said again, and who waits for what."""

from __future__ import annotations

import msgspec

from agreed.replica import requests
from agreed.replica.clients import Errand
from agreed.replica.requests import MAX_BATCH_BYTES, MAX_BATCH_COMMANDS, MAX_BATCHES_UNDER_WAY, Requests
from agreed.store.commands import Batch, SetData


def command(number: int, size: int = 1) -> SetData:
    return SetData(1, b"/%d" % number, b"x" * size, -1)


def asked(count: int, size: int = 1) -> Requests:
    made = Requests("n1.1", 3)
    for number in range(count):
        made.submit(command(number, size), Errand())
        made.waiting_bytes += size
    return made


def decoded(batch: bytes | None) -> Batch:
    assert batch is not None
    return msgspec.msgpack.decode(batch, type=Batch)


def test_batches_are_numbered_without_gaps() -> None:
    made = asked(3)
    first = decoded(made.cut(0))
    assert (first.origin, first.life, first.first, len(first.commands)) == ("n1.1", 3, 1, 3)
    assert made.cut(0) is None
    made.submit(command(9), Errand())
    assert decoded(made.cut(0)).first == 4


def test_a_batch_holds_no_more_commands_than_it_may() -> None:
    made = asked(2 * MAX_BATCH_COMMANDS + 1)
    sizes = []
    while (batch := made.cut(0)) is not None:
        sizes.append(len(decoded(batch).commands))
    assert sum(sizes) == 2 * MAX_BATCH_COMMANDS + 1
    assert max(sizes) <= MAX_BATCH_COMMANDS


def test_a_batch_is_cut_before_it_grows_too_large_but_holds_at_least_one_command() -> None:
    made = asked(5, MAX_BATCH_BYTES // 2)
    sizes = []
    while (batch := made.cut(0)) is not None:
        assert len(batch) < 2 * MAX_BATCH_BYTES
        sizes.append(len(decoded(batch).commands))
    assert sum(sizes) == 5
    assert len(sizes) >= 3


def test_only_so_many_batches_are_under_way() -> None:
    made = asked(0)
    for number in range(MAX_BATCHES_UNDER_WAY):
        made.submit(command(number), Errand())
        assert made.cut(0) is not None
    made.submit(command(99), Errand())
    assert made.cut(0) is None
    made.applied(1, 5)
    assert made.cut(5) is not None


def test_what_is_under_way_is_said_again_in_order_and_what_is_applied_is_not() -> None:
    made = asked(1)
    first = made.cut(0)
    made.submit(command(1), Errand())
    second = made.cut(0)
    assert made.repeat(1) == [first, second]
    made.tickets.popleft()
    made.applied(1, 2)
    assert made.repeat(3) == [second]


def test_it_is_overdue_when_nothing_has_moved_for_a_while() -> None:
    made = asked(1)
    assert not made.overdue(10_000), "nothing is under way"
    made.cut(100)
    assert not made.overdue(100 + requests.REPEAT_AFTER_MS - 1)
    assert made.overdue(100 + requests.REPEAT_AFTER_MS)
    made.repeat(2_000)
    assert not made.overdue(2_001)


def test_who_waited_for_what_a_snapshot_contains_is_told_so_and_the_others_keep_their_place() -> None:
    made = asked(0)
    tickets = [Errand() for _ in range(5)]
    for number, ticket in enumerate(tickets):
        made.submit(command(number), ticket)
        if number in (1, 3):
            made.cut(0)
    assert made.forget(2) == tickets[:2]
    assert list(made.tickets) == tickets[2:]
    assert [decoded(batch).first for batch in made.repeat(0)] == [3]
    assert decoded(made.cut(0)).first == 5
    assert made.forget(2) == [], "nothing is forgotten twice"


def test_latencies_are_those_of_batches_that_came_back() -> None:
    made = asked(1)
    made.cut(100)
    made.tickets.popleft()
    made.applied(1, 130)
    made.submit(command(1), Errand())
    made.cut(200)
    made.tickets.popleft()
    made.applied(2, 210)
    assert made.latency_ms() == (10, 20.0, 30)
    made.reset_latency()
    assert made.latency_ms() == (0, 0.0, 0)
