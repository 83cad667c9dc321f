"""What random worlds (`tests/recipes/world`) have found, each as the story that it was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import pytest

from agreed.backends.contract import Change, Entry, Guard, Put
from agreed.client.errors import (
    ClientError,
    ConnectionLost,
    QuotaExceeded,
    ReadOnly,
    Refused,
    Throttled,
    TimedOut,
)
from agreed.recipes.barrier import DECODER, Barrier, _Party
from agreed.recipes.codec import codec_of
from agreed.recipes.errors import BarrierBroken, WaitTimeout
from agreed.recipes.queue import Queue
from agreed.recipes.sessions import Sessions
from tests.recipes.lossy import Loss, lossy
from tests.recipes.stage import Stage, StageBackend, StageSession
from tests.recipes.test_errors_tell_the_truth import Refusing
from tests.recipes.world.virtual import run


def play(story: Callable[[], Awaitable[None]]) -> None:
    run(1, asyncio.wait_for(story(), 100.0))


class HardOfSeeing(StageBackend):
    """Looks at a key once `sees` is set, and not before; `fails`: and then so many looks are not answered."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.sees = asyncio.Event()
        self.sees.set()
        self.fails = 0

    async def get(self, key: str) -> Entry | None:
        await self.sees.wait()
        if self.fails:
            self.fails -= 1
            raise TimedOut("no answer in time", maybe=False)
        return await super().get(key)


class Full(StageBackend):
    """`is_full`: there is no space for anything, and what is there can be deleted."""

    is_full = False

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        if self.is_full and any(isinstance(change, Put) for change in changes):
            raise QuotaExceeded("a")
        return await super().commit(guards, changes)


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0)


async def three_go_on(sessions: Sessions) -> None:
    """The first of them with the one who has come before."""
    passed = await asyncio.gather(*(Barrier(sessions, "b", 2).wait() for _ in range(3)))
    assert sorted(passed) == [1, 2, 2]


# --- barriers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [1, 1000])
def test_a_party_that_has_come_is_let_through_also_where_it_is_not_answered_then(fails: int) -> None:
    """That the question was surely not done says nothing of the others, who have gone on with it."""

    async def story() -> None:
        stage = Stage()
        backend = HardOfSeeing(stage)
        waiting = asyncio.create_task(Barrier(Sessions(backend, 10.0), "b", 2).wait())
        await until(lambda: "b" in stage.entries)
        backend.sees.clear()
        assert await Barrier(Sessions(stage.client(), 10.0), "b", 2).wait() == 1
        backend.fails = fails
        backend.sees.set()
        if fails == 1:
            assert await waiting == 1
            return
        with pytest.raises(ClientError) as told:
            await waiting
        assert told.value.maybe

    play(story)


def test_whose_entry_went_with_his_session_is_not_told_that_he_was_not_let_through() -> None:
    """His entry tells of a generation of long ago; that it is gone tells nothing where the session may be."""

    async def story() -> None:
        stage = Stage()
        sessions, way = lossy(Sessions(stage.client(), 10.0))
        yours = Sessions(stage.client(), 10.0)

        async def others() -> None:
            await three_go_on(yours)
            [mine] = [key for key, entry in stage.entries.items() if entry.owner == session.id]
            session.certain_s = 0.0
            stage.delete(mine)

        session = cast("StageSession", await sessions.get())
        way.lose(Loss.UNHEARD)
        way.meanwhile = others
        with pytest.raises(WaitTimeout) as told:
            await Barrier(sessions, "b", 2).wait(0.1)
        assert not told.value.surely_not_done

    play(story)


def test_who_has_heard_that_he_came_and_has_not_left_went_on_though_his_entry_is_gone() -> None:
    async def story() -> None:
        stage = Stage()
        backend = HardOfSeeing(stage)
        yours = Sessions(stage.client(), 10.0)
        waiting = asyncio.create_task(Barrier(Sessions(backend, 10.0), "b", 2).wait(1.0))
        await until(lambda: "b" in stage.entries)
        backend.sees.clear()
        await three_go_on(yours)
        for key in [key for key, entry in stage.entries.items() if entry.owner == 1]:
            stage.delete(key)
        await asyncio.sleep(1.1)
        backend.sees.set()
        assert await waiting == 1

    play(story)


def test_a_dead_party_that_does_not_know_it_is_not_let_through_with_those_who_came_later() -> None:
    """All who had come were dead, so they were forgotten; and their generation began anew, with others."""

    async def story() -> None:
        stage = Stage()
        backend = HardOfSeeing(stage)
        yours = Sessions(stage.client(), 10.0)
        waiting = asyncio.create_task(Barrier(Sessions(backend, 10.0), "b", 2).wait())
        await until(lambda: "b" in stage.entries)
        backend.sees.clear()
        [mark] = DECODER.decode(stage.entries["b"].value).come
        stage.delete(f"b/{mark}")
        passed = await asyncio.gather(*(Barrier(yours, "b", 2).wait() for _ in range(2)))
        assert passed[0] == passed[1]
        backend.sees.set()
        with pytest.raises(BarrierBroken):
            await waiting

    play(story)


def test_a_party_that_stops_takes_its_entry_away_also_where_its_generation_broke_meanwhile() -> None:
    """That it is not counted any more is not its own doing then."""

    async def story() -> None:
        stage = Stage()
        sessions, way = lossy(Sessions(stage.client(), 10.0))
        dead, yours = Sessions(stage.client(), 10.0), Sessions(stage.client(), 10.0)
        dying = asyncio.create_task(Barrier(dead, "b", 3).wait())
        await until(lambda: "b" in stage.entries)

        async def breaks() -> None:
            await (await dead.get()).close()
            with pytest.raises((BarrierBroken, WaitTimeout)):
                await Barrier(yours, "b", 3).wait(0.5)

        way.lose(Loss.NOTHING, Loss.NOT_DONE)
        way.meanwhile = breaks
        with pytest.raises(WaitTimeout):
            await Barrier(sessions, "b", 3).wait(0.1)
        with pytest.raises(ClientError):
            await dying
        await sessions.tidied()
        assert await yours.backend.names("b") == []

    play(story)


def test_who_is_cancelled_as_he_hears_that_he_was_let_through_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        stage = Stage()
        backend = HardOfSeeing(stage)
        mine, yours = Sessions(backend, 10.0), Sessions(stage.client(), 10.0)
        stop_waiting = _Party.stop_waiting

        async def and_cancelled(party: _Party) -> bool | None:
            was_let_through = await stop_waiting(party)
            asyncio.get_running_loop().call_soon(waiting.cancel)
            return was_let_through

        monkeypatch.setattr(_Party, "stop_waiting", and_cancelled)
        waiting = asyncio.create_task(Barrier(mine, "b", 2).wait(1.0))
        await until(lambda: "b" in stage.entries)
        backend.sees.clear()
        assert await Barrier(yours, "b", 2).wait() == 1
        await asyncio.sleep(1.1)
        backend.sees.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await mine.tidied()
        await yours.tidied()
        assert await yours.backend.names("b") == []

    play(story)


# --- queues ------------------------------------------------------------------------------------------------


def claims(stage: Stage) -> list[str]:
    return [key for key in stage.entries if key.startswith("q/claims/")]


@pytest.mark.parametrize("refusal", [Throttled("a"), ReadOnly("a"), QuotaExceeded("a")], ids=repr)
def test_a_job_is_not_held_by_nobody_after_a_service_could_not_tell(refusal: Refused) -> None:
    """Its claim may have been made, and what became of it was asked at a bad moment; the session lived on."""

    async def story() -> None:
        backend = Refusing(Stage())
        sessions = Sessions(backend, 10.0)
        queue = Queue(sessions, "q", codec_of(str))
        await queue.put("one")
        backend.refuses = [ConnectionLost("its answer is lost", maybe=True), refusal]
        job = await queue.try_take()
        assert job is not None
        assert len(claims(backend.stage)) == 1

        backend.refuses = [refusal]
        await job.release()
        assert claims(backend.stage) == []

    play(story)


def test_a_commit_is_known_not_to_be_done_also_where_there_is_no_space_for_the_question() -> None:
    async def story() -> None:
        sessions, way = lossy(Sessions(Full(Stage()), 10.0))
        await sessions.certain.commit([], [Put("a", b"1")])
        full = cast("Full", way._backend)
        way.lose(Loss.LATE)
        full.is_full = True
        with pytest.raises(QuotaExceeded):
            await sessions.certain.commit([], [Put("a", b"2")])
        full.is_full = False
        assert await way.arrive() == [None]
        assert await sessions.certain.commit([], [Put("a", b"3")]) is not None
        assert full.stage.entries["a"].value == b"3"

    play(story)
