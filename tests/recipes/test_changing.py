"""Each change is made once, whatever becomes of its answer, or the error says that nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agreed.backends.contract import Change, Delete, Entry, Put
from agreed.client.errors import ConnectionLost
from agreed.recipes.changing import LOST_ANSWERS_MOST, REMEMBERED, Fate, Register, change
from agreed.recipes.errors import CodecError
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy
from tests.recipes.stage import Stage

UNANSWERED = [Loss.DONE, Loss.NOT_DONE, Loss.LATE]


def one_more(state: int | None) -> tuple[int, int]:
    after = (state or 0) + 1
    return after, after


@pytest.mark.parametrize("losses", [[Loss.DONE], [Loss.NOT_DONE], [Loss.LATE], UNANSWERED, UNANSWERED[::-1]])
def test_a_change_whose_answer_is_lost_is_made_once(clients: Clients, losses: list[Loss]) -> None:
    async def story() -> None:
        async with clients() as one:
            sessions, way = lossy(one)
            register = Register(sessions.backend, "number", int)
            for number in range(1, 4):
                way.lose(*losses)
                assert await register.change(one_more) == number
                await way.arrive()  # too late: it held for a version that has gone
                assert await register.read() == number
            assert way.lost >= 3

    clients.play(story)


def test_it_is_told_apart_from_those_that_were_faster(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            mine, yours = Register(sessions.backend, "number", int), Register(two.backend, "number", int)
            for losses in ([Loss.DONE], [Loss.NOT_DONE], [Loss.DONE, Loss.NOT_DONE]):
                way.lose(*losses)
                before = await yours.change(one_more)
                answers = await asyncio.gather(
                    mine.change(one_more), *(yours.change(one_more) for _ in range(5))
                )
                assert sorted(answers) == list(range(before + 1, before + 7))

    clients.play(story)


def overtaken_by(others: int, loss: Loss) -> int:
    """The first change of somebody whose answer is lost, and who looks after so many others were there."""

    async def story() -> int:
        sessions, way = lossy(Sessions(Stage().client(), 10.0))
        strangers = [Register(sessions.backend, "number", int) for _ in range(REMEMBERED + 1)]
        for stranger in strangers:
            await stranger.change(one_more)

        async def overtake() -> None:
            for stranger in strangers[:others]:
                await stranger.change(one_more)

        way.meanwhile = overtake
        way.lose(loss)
        return await Register(sessions.backend, "number", int).change(one_more)

    return asyncio.run(story())


def test_too_many_others_wipe_out_the_trace_and_then_nobody_knows() -> None:
    there = REMEMBERED + 1
    assert overtaken_by(REMEMBERED - 1, Loss.DONE) == there + 1
    with pytest.raises(ConnectionLost) as lost:
        overtaken_by(REMEMBERED, Loss.DONE)
    assert lost.value.maybe


def test_who_was_not_there_yet_knows_by_the_others_that_his_change_was_not_made() -> None:
    there = REMEMBERED + 1
    assert overtaken_by(3, Loss.NOT_DONE) == there + 3 + 1


def test_a_service_that_never_answers_is_not_asked_for_ever(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            sessions, way = lossy(one)
            way.lose(*[Loss.NOT_DONE] * 100)
            with pytest.raises(ConnectionLost) as lost:
                await Register(sessions.backend, "number", int).change(one_more)
            assert lost.value.maybe
            assert way.lost == LOST_ANSWERS_MOST

    clients.play(story)


@pytest.mark.parametrize("before", [0, 1])
def test_what_failed_surely_says_nothing_about_the_attempt_before_it(clients: Clients, before: int) -> None:
    async def story() -> None:
        async with clients() as one:
            sessions, way = lossy(one)
            for _ in range(before):
                await Register(sessions.backend, "number", int).change(one_more)
            way.lose(Loss.LATE, Loss.REFUSED, Loss.REFUSED)
            with pytest.raises(ConnectionLost) as lost:
                await Register(sessions.backend, "number", int).change(one_more)
            assert lost.value.maybe
            assert await way.arrive() != [None], "it was done after all"
            with pytest.raises(ConnectionLost) as refused:
                await Register(sessions.backend, "number", int).change(one_more)
            assert refused.value.surely_not_done

    clients.play(story)


def test_who_thinks_otherwise_the_second_time_does_not_know_what_became_of_the_first(
    clients: Clients,
) -> None:
    async def story() -> None:
        async with clients() as one:
            sessions, way = lossy(one)
            thoughts: list[Sequence[Change] | None] = [[Put("a", b"1")], None]
            way.lose(Loss.LATE)
            with pytest.raises(ConnectionLost) as lost:
                await change(sessions.backend, "a", lambda _: thoughts.pop(0), lambda _: Fate.UNKNOWN)
            assert lost.value.maybe

    clients.play(story)


def test_where_others_delete_the_key_that_nothing_is_there_tells_nothing(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            sessions, way = lossy(one)

            def plan(found: Entry | None) -> Sequence[Change]:
                return [Put("a", b"1")]

            way.lose(Loss.NOT_DONE)
            with pytest.raises(ConnectionLost):
                await change(sessions.backend, "a", plan, lambda _: Fate.UNKNOWN, comes_and_goes=True)
            way.lose(Loss.NOT_DONE)
            assert (await change(sessions.backend, "a", plan, lambda _: Fate.UNKNOWN)).revision
            way.lose(Loss.DONE)
            await one.backend.commit([], [Delete("a")])
            changed = await change(sessions.backend, "a", plan, lambda _: Fate.DONE)
            assert changed.revision is None
            assert changed.after == await one.backend.get("a")

    clients.play(story)


def test_what_somebody_else_has_put_there_is_not_overwritten(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            await one.backend.commit([], [Put("number", b"not ours")])
            with pytest.raises(CodecError, match="not put there by this recipe"):
                await Register(one.backend, "number", int).change(one_more)
            entry = await one.backend.get("number")
            assert entry is not None
            assert entry.value == b"not ours"

    clients.play(story)
