"""The newest state is at hand, a bad one does not replace a good one, and an absence is caught up with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from agreed.backends.contract import Put
from agreed.client.errors import ConnectionLost, SessionClosed, TimedOut
from agreed.recipes import follower
from agreed.recipes.cell import Cell, Versioned
from agreed.recipes.config import Config
from agreed.recipes.errors import CodecError
from agreed.recipes.sessions import Sessions
from tests.backends.conftest import Place, place, service, with_connections_to_cut
from tests.recipes.conftest import Clients
from tests.recipes.stage import Stage

__all__ = ["place", "service"]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_the_newest_state_is_at_hand_and_the_default_where_there_is_none(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            cell = Cell(one, "app", int)
            async with Config(two, "app", int, default=7) as config:
                assert (config.value, config.version) == (7, 0)
                heard: list[Versioned[int]] = []

                def fail(state: Versioned[int]) -> None:
                    raise ValueError("somebody else's mistake stops nobody")

                config.on_change(fail)
                off = config.on_change(heard.append)
                made = await cell.set(1)
                await until(lambda: config.value == 1)
                assert config.version == made.version
                off()
                await cell.delete()
                await until(lambda: config.value == 7)
                assert heard == [made]
            made = await cell.set(2)
            assert config.value == 7, "it is followed no longer"
            async with config:
                assert (config.value, config.version) == (2, made.version)

    clients.play(story)


def test_whoever_waits_for_newer_states_gets_them_until_the_end(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            cell, seen = Cell(one, "app", int), list[int]()
            async with Config(one, "app", int, default=0) as config:

                async def look() -> None:
                    async for state in config.states():
                        seen.append(state.value)

                looking = asyncio.create_task(look())
                await until(lambda: seen == [0])
                await cell.set(1)
                await until(lambda: seen == [0, 1])
            await looking
            assert seen == [0, 1]

    clients.play(story)


def test_what_cannot_be_read_does_not_replace_what_could(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            cell = Cell(one, "app", int)
            await cell.set(1)
            async with Config(one, "app", int, default=0) as config:
                await one.backend.commit([], [Put("app", b"many")])
                await until(lambda: config.error is not None)
                assert isinstance(config.error, CodecError)
                assert config.value == 1
                await cell.set(2)
                await until(lambda: config.value == 2)
                assert config.error is None
            await one.backend.commit([], [Put("app", b"many")])
            with pytest.raises(CodecError):
                await config.__aenter__()

    clients.play(story)


def test_after_a_time_without_the_service_it_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr("agreed.recipes.follower.AGAIN_AFTER_S", 0.01)
        stage = Stage()
        sessions = Sessions(stage.client(), 10.0)
        gone = True

        async def fail(question: str) -> None:
            await asyncio.sleep(0)
            if gone and question == "get":
                raise ConnectionLost("the test wants it so", maybe=False)

        cell = Cell(sessions, "app", int)
        await cell.set(1)
        async with Config(sessions, "app", int, default=0) as config:
            stage.before = fail
            await sessions.backend.commit([], [Put("app", b"2")])
            await until(lambda: isinstance(config.error, ConnectionLost))
            assert config.value == 1
            gone = False
            await until(lambda: config.value == 2)
            assert config.error is None
        assert stage.watching == []
        gone = True
        with pytest.raises(ConnectionLost):
            await config.__aenter__()
        assert stage.watching == []

    asyncio.run(asyncio.wait_for(story(), 20))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASKED_EVERY_S", "ANSWERED_WITHIN_S", "AGAIN_AFTER_S"):
        monkeypatch.setattr(follower, name, 0.05)


@with_connections_to_cut
def test_while_the_service_cannot_be_reached_it_says_so(place: Place, soon: None) -> None:
    """No change tells of that, and no watch: nobody hears anything, as if nothing happened."""

    async def story() -> None:
        async with place.backend() as other, place.leash() as leash, place.backend(by=leash) as backend:
            cell = Cell(Sessions(other, 10.0), "app", int)
            await cell.set(1)
            async with Config(Sessions(backend, 10.0), "app", int, default=0) as config:
                leash.close()
                await until(lambda: config.error is not None)
                await cell.set(2)
                assert config.value == 1
                await leash.open()
                await until(lambda: config.value == 2 and config.error is None)

    asyncio.run(asyncio.wait_for(story(), 60.0))


def test_a_service_that_says_nothing_any_more_is_noticed_and_who_enters_again_begins_anew(soon: None) -> None:
    async def story() -> None:
        stage = Stage()
        sessions, answers = Sessions(stage.client(), 10.0), asyncio.Event()
        config = Config(sessions, "app", int, default=0)

        async def wait_for_answers(question: str) -> None:
            await answers.wait()

        async with config:
            stage.before = wait_for_answers
            await until(lambda: isinstance(config.error, TimedOut))
        answers.set()
        async with config:
            assert config.error is None

    asyncio.run(asyncio.wait_for(story(), 60.0))


def test_whoever_waits_for_newer_states_hears_that_there_are_none_any_more(soon: None) -> None:
    async def story() -> None:
        stage = Stage()

        async def closed(question: str) -> None:
            raise SessionClosed("the test wants it so", maybe=False)

        async with Config(Sessions(stage.client(), 10.0), "app", int, default=0) as config:
            states = config.states()
            assert (await states.next()).value == 0
            stage.before = closed
            with pytest.raises(SessionClosed):
                await states.next(30.0)
            assert isinstance(config.error, SessionClosed)

    asyncio.run(asyncio.wait_for(story(), 60.0))


class Careless:
    """Raises something else than CodecError, and gives what cannot be compared."""

    class Value:
        def __init__(self, raw: bytes) -> None:
            self.raw = raw

        def __eq__(self, other: object) -> bool:
            raise ValueError("the truth value of an array is ambiguous")

        __hash__ = None  # type: ignore[assignment]

    def encode(self, value: Value) -> bytes:
        return value.raw

    def decode(self, raw: bytes) -> Value:
        if raw == b"bad":
            raise KeyError("limit")
        return self.Value(raw)


def test_a_careless_codec_does_not_end_it(soon: None) -> None:
    async def story() -> None:
        stage = Stage()
        put, default = stage.client().commit, Careless.Value(b"")
        sessions = Sessions(stage.client(), 10.0)
        heard: list[bytes] = []
        config = Config(sessions, "app", Careless.Value, default=default, codec=Careless())
        config.on_change(lambda state: heard.append(state.value.raw))
        await put([], [Put("app", b"0")])
        async with config:
            assert heard == [b"0"]
            await put([], [Put("app", b"bad")])
            await until(lambda: isinstance(config.error, CodecError))
            await put([], [Put("app", b"1")])
            await until(lambda: config.value.raw == b"1")
            assert (config.error, heard) == (None, [b"0", b"1"])
            config.on_change(lambda state: None)
            stage.changed("app")
            await asyncio.sleep(0.01)
            assert config.error is None

    asyncio.run(asyncio.wait_for(story(), 60.0))
