"""One round that keeps copies new: it begins again after whatever fails, and tells silence from quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agreed.backends.contract import Changes, Entry, Put
from agreed.client.errors import ConnectionLost, SessionClosed, TimedOut
from agreed.recipes import follower as follower_module
from agreed.recipes.errors import CodecError
from agreed.recipes.follower import Follower
from agreed.recipes.following import Stream
from tests.recipes.stage import Stage
from tests.recipes.world.virtual import run

PLAY_WITHIN_S = 60.0


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASKED_EVERY_S", "ANSWERED_WITHIN_S", "AGAIN_AFTER_S"):
        monkeypatch.setattr(follower_module, name, 0.02)


class Copy:
    """Of one key; `reads` tells of which reading it was that all of it was asked for."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.value: bytes | None = None
        self.reads: list[bool] = []
        self.fails: Exception | None = None
        self.looked: Callable[[], None] = lambda: None
        self.follower = Follower(stage.client(), "a", self.read, below=False, for_good=(CodecError,))

    async def read(self, changes: Changes | None) -> None:
        self.reads.append(changes is None)
        found = await self.follower.asked(self.look())
        if self.fails is not None:
            raise self.fails
        self.value = None if found is None else found.value
        self.follower.tell()

    async def look(self) -> Entry | None:
        self.looked()
        return await self.stage.client().get("a")

    async def put(self, value: bytes) -> None:
        await self.stage.client().commit([], [Put("a", value)])


async def bounded(story: Callable[[Stage, Copy], Awaitable[None]]) -> None:
    async with asyncio.timeout(PLAY_WITHIN_S):
        stage = Stage()
        await story(stage, Copy(stage))
        assert stage.watching == []
        assert asyncio.all_tasks() == {asyncio.current_task()}


def play(story: Callable[[Stage, Copy], Awaitable[None]]) -> None:
    asyncio.run(bounded(story))


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


def test_all_of_it_is_read_at_first_and_then_what_has_changed() -> None:
    async def story(stage: Stage, copy: Copy) -> None:
        await copy.put(b"1")
        await copy.follower.begin()
        assert copy.value == b"1"
        await copy.put(b"2")
        await until(lambda: copy.value == b"2")
        assert copy.reads == [True, False]
        await copy.follower.end()
        await copy.put(b"3")
        await asyncio.sleep(0)
        assert copy.value == b"2"

    play(story)


def test_after_whatever_fails_all_of_it_is_read_again() -> None:
    async def story(stage: Stage, copy: Copy) -> None:
        await copy.follower.begin()
        for fails in (ConnectionLost("the test wants it so", maybe=False), ValueError("a mistake of ours")):
            copy.fails = fails
            await copy.put(b"1")
            await until(lambda: copy.follower.error is not None)
            assert str(fails) in str(copy.follower.error)
            assert copy.follower.stale_for() > 0.0
            await until(lambda: copy.reads[-2:] == [True, True])
            copy.fails = None
            await until(lambda: copy.follower.error is None)
            assert copy.value == b"1"
        await copy.follower.end()

    play(story)


@pytest.mark.parametrize("error", [SessionClosed("closed", maybe=False), CodecError("as I was told")])
def test_what_is_for_good_is_told_to_who_waits_and_ends_with_the_next_begin(error: Exception) -> None:
    async def story(stage: Stage, copy: Copy) -> None:
        await copy.follower.begin()
        waiting = asyncio.create_task(copy.follower.newer(lambda: copy.value, copy.value))
        copy.fails = error
        stage.changed("a")
        with pytest.raises(type(error)):
            await waiting
        assert copy.follower.error is error
        read = len(copy.reads)
        await copy.put(b"1")
        copy.fails = None
        await copy.follower.begin()
        assert len(copy.reads) == read + 1
        assert copy.follower.error is None
        assert await copy.follower.newer(lambda: copy.value, None)
        await copy.follower.end()
        await copy.follower.end()

    play(story)


def test_silence_is_told_from_quiet() -> None:
    async def story(stage: Stage, copy: Copy) -> None:
        answers = asyncio.Event()
        answers.set()

        async def wait_for_answers(question: str) -> None:
            await answers.wait()

        stage.before = wait_for_answers
        await copy.follower.begin()
        await until(lambda: copy.follower.stale_for() == 0.0)
        answers.clear()
        await until(lambda: isinstance(copy.follower.error, TimedOut))
        await until(lambda: copy.follower.stale_for() > 0.04)
        answers.set()
        await until(lambda: copy.follower.error is None and copy.follower.stale_for() == 0.0)
        await copy.follower.end()
        assert copy.follower.stale_for() > 0.0, "nobody follows it any more"

    play(story)


def test_a_time_in_which_the_process_stood_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that runs on the loop could have noticed; who asks on another thread asks before that does."""

    async def story(stage: Stage, copy: Copy) -> None:
        await copy.follower.begin()
        now_s = follower_module.seconds()
        with monkeypatch.context() as patch:
            patch.setattr(follower_module, "seconds", lambda: now_s + 100.0)
            assert copy.follower.error is None
            assert copy.follower.stale_for() > 99.0
        await until(lambda: copy.follower.stale_for() == 0.0)
        await copy.follower.end()

    play(story)


def test_at_most_half_of_the_time_is_spent_on_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "ASKED_EVERY_S", 2.0)
    told: list[str] = []
    now_s = 0.0
    sleep = asyncio.sleep

    async def story(stage: Stage, copy: Copy) -> None:
        async def rest(delay_s: float) -> None:
            if delay_s:
                told.append(f"rest {delay_s:g}")
            await sleep(0)

        def take_time() -> None:
            nonlocal now_s
            now_s += 5.0
            told.append("read")

        await copy.follower.begin()
        with monkeypatch.context() as patch:
            patch.setattr(follower_module, "seconds", lambda: now_s)
            patch.setattr(asyncio, "sleep", rest)
            copy.looked = take_time
            stage.changed("a")
            while told.count("read") < 2:
                stage.changed("a")
                await sleep(0.001)
        await copy.follower.end()

    run(0, bounded(story))  # in virtual time: one that goes by would be another reason to read
    assert told[:5] == ["read", "rest 2", "rest 2", "rest 1", "read"]


def test_it_is_followed_until_the_last_who_began_has_ended() -> None:
    async def story(stage: Stage, copy: Copy) -> None:
        await asyncio.gather(*(copy.follower.begin() for _ in range(3)))
        assert len(stage.watching) == 1
        for _ in range(2):
            await copy.follower.end()
        await copy.put(b"1")
        await until(lambda: copy.value == b"1")
        await copy.follower.end()

    play(story)


def test_who_is_cancelled_at_its_beginning_leaves_nothing_behind_and_takes_nothing_away() -> None:
    async def story(stage: Stage, copy: Copy) -> None:
        for turns in range(12):
            beginning = asyncio.create_task(copy.follower.begin())
            for _ in range(turns):
                await asyncio.sleep(0)
            beginning.cancel()
            await asyncio.wait([beginning])
            if not beginning.cancelled():
                await copy.follower.end()
            assert (copy.follower.entered, stage.watching) == (0, [])
        other = asyncio.create_task(copy.follower.begin())
        beginning = asyncio.create_task(copy.follower.begin())
        await asyncio.sleep(0)
        beginning.cancel()
        await other
        await copy.put(b"1")
        await until(lambda: copy.value == b"1")
        await copy.follower.end()

    play(story)


def test_who_waits_hears_of_the_end_though_who_ends_it_is_cancelled() -> None:
    async def story(stage: Stage, copy: Copy) -> None:
        await copy.follower.begin()
        waiting = asyncio.create_task(copy.follower.newer(lambda: copy.value, copy.value))
        await asyncio.sleep(0)
        ending = asyncio.create_task(copy.follower.end())
        await asyncio.sleep(0)
        ending.cancel()
        assert await waiting is False
        await until(lambda: stage.watching == [])

    play(story)


def test_what_fails_at_the_beginning_is_told_and_nothing_is_followed() -> None:
    async def story(stage: Stage, copy: Copy) -> None:
        copy.fails = ConnectionLost("the test wants it so", maybe=False)
        with pytest.raises(ConnectionLost):
            await copy.follower.begin()
        assert copy.follower.entered == 0
        assert await copy.follower.newer(lambda: 1, None) is False
        copy.fails = None
        await copy.follower.begin()
        await copy.follower.end()

    play(story)


# --- streams, by which most of it is told -----------------------------------------------------------------


def test_what_comes_in_the_moment_in_which_the_time_is_over_is_not_lost() -> None:
    """The loop was held up: the item is there and the time is over, and both are seen in one turn."""

    async def story(stage: Stage, copy: Copy) -> None:
        loop = asyncio.get_running_loop()
        for early in (True, False):
            told = [loop.create_future() for _ in range(2)]

            async def items(told: list[asyncio.Future[int]] = told) -> object:
                for each in told:
                    yield await each

            stream: Stream[int] = Stream(items())  # type: ignore[arg-type]
            waiting = asyncio.create_task(stream.next(0.05))
            await asyncio.sleep(0.01)
            at = loop.time() + 0.05
            loop.call_at(at if early else at - 0.02, told[0].set_result, 1)
            while loop.time() < at + 0.02:
                pass
            try:
                first = await waiting
            except TimeoutError:
                first = await stream.next(10.0)
            assert first == 1
            told[1].set_result(2)
            assert await stream.next(10.0) == 2
            await stream.close()

    play(story)


def test_who_waits_for_what_is_closed_hears_that_there_is_no_more() -> None:
    async def story(stage: Stage, copy: Copy) -> None:
        async def items() -> object:
            await asyncio.Event().wait()
            yield 1

        stream: Stream[int] = Stream(items())  # type: ignore[arg-type]
        waiting = asyncio.create_task(stream.next())
        await asyncio.sleep(0)
        await stream.close()
        with pytest.raises(StopAsyncIteration):
            await waiting

    play(story)
