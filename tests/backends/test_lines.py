"""Standing in line, as the contract promises it."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from agreed.backends.contract import Backend, Kind, Layout, Put, Session, Stands
from agreed.client.errors import SessionClosed, SessionExpired, TooLarge
from tests.backends.conftest import Place, with_connections_to_cut

LAYOUTS = pytest.mark.parametrize("layout", list(Layout))


async def keys_in(backend: Backend, directory: str, layout: Layout) -> list[str]:
    return [each.key for each in await backend.line(directory, layout)]


async def enter(backend: Backend, session: Session, mark: str, layout: Layout = Layout.KAZOO) -> str:
    standing = await backend.enter("line", session, mark, b"", Kind.WRITER, layout)
    return standing.mine.key


@LAYOUTS
def test_who_comes_first_stands_first(place: Place, layout: Layout) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            session, elsewhere = await backend.open_session(10.0), await other.open_session(10.0)
            assert await backend.line("line", layout) == ()
            marks = [uuid4().hex for _ in range(4)]
            first = await backend.enter("line", session, marks[0], b"me", Kind.WRITER, layout)
            assert [each.key for each in first.line] == [first.mine.key]
            assert (first.mine.value, first.mine.owner) == (b"me", session.id)
            assert await other.get(first.mine.key) == first.mine
            second = await other.enter("line", elsewhere, marks[1], b"", Kind.READER, layout)
            third = await backend.enter("line", session, marks[2], b"", Kind.READER, layout)
            assert first.mine.created < second.mine.created < third.mine.created
            mine = [each.mine.key for each in (first, second, third)]
            assert await keys_in(other, "line", layout) == [each.key for each in third.line] == mine
            assert [each.kind for each in third.line] == [Kind.WRITER, Kind.READER, Kind.READER]
            await backend.leave("line", session, marks[0])
            assert await keys_in(other, "line", layout) == mine[1:]
            await other.leave("line", elsewhere, marks[3])
            await elsewhere.close()
            assert await keys_in(backend, "line", layout) == mine[2:]

    asyncio.run(story())


@LAYOUTS
def test_who_enters_twice_by_one_mark_stands_once(place: Place, layout: Layout) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            session = await backend.open_session(10.0)
            mark = uuid4().hex
            first = await backend.enter("line", session, mark, b"v", Kind.WRITER, layout)
            behind = await backend.enter("line", session, uuid4().hex, b"", Kind.WRITER, layout)
            again = await backend.enter("line", session, mark, b"v", Kind.WRITER, layout)
            assert again.mine == first.mine
            assert await keys_in(backend, "line", layout) == [first.mine.key, behind.mine.key]
            await backend.leave("line", session, mark)
            await backend.leave("line", session, mark)
            assert await keys_in(backend, "line", layout) == [behind.mine.key]

    asyncio.run(story())


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
def test_who_was_cancelled_on_entering_is_not_left_standing(place: Place, turns: int) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            session = await backend.open_session(10.0)
            stays = await enter(backend, session, uuid4().hex)
            mark = uuid4().hex
            entering = asyncio.ensure_future(enter(backend, session, mark))
            for _ in range(turns):
                await asyncio.sleep(0)
            entering.cancel()
            await asyncio.wait([entering])
            await backend.leave("line", session, mark)
            assert await keys_in(backend, "line", Layout.KAZOO) == [stays]

    asyncio.run(story())


def test_what_is_too_large_is_refused_and_not_sent(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            session = await backend.open_session(10.0)
            value = bytes(2_000_000)
            with pytest.raises(TooLarge):
                await backend.commit([], [Put("k", value)])
            with pytest.raises(TooLarge):
                await backend.enter("line", session, uuid4().hex, value, Kind.WRITER, Layout.KAZOO)
            largest = bytes(backend.capabilities.value_bytes)
            await backend.commit([], [Put("k", largest)])
            entry = await backend.get("k")
            assert entry is not None
            assert entry.value == largest
            assert not session.ended

    asyncio.run(story())


def test_many_enter_at_once_and_all_see_who_came_before(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as one, place.backend() as other:
            sessions = [(each, await each.open_session(10.0)) for each in (one, other) for _ in range(2)]
            standings = await asyncio.gather(
                *(
                    backend.enter("line", session, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO)
                    for backend, session in sessions
                    for _ in range(5)
                )
            )
            line = await keys_in(one, "line", Layout.KAZOO)
            assert sorted(line) == sorted(each.mine.key for each in standings)
            for standing in standings:
                place_of_mine = line.index(standing.mine.key)
                assert [each.key for each in standing.line][: place_of_mine + 1] == line[: place_of_mine + 1]

    asyncio.run(story())


def test_what_a_holder_commits_is_done_only_while_he_stands(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            session = await other.open_session(10.0)
            standing = await other.enter("line", session, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO)
            mine = Stands(standing.mine.key, standing.mine.created)
            assert await backend.commit([mine], [Put("work", b"1")]) is not None
            await backend.commit([], [Put(standing.mine.key, b"said")])
            assert await backend.commit([mine], [Put("work", b"2")]) is not None
            await session.close()
            assert await backend.commit([mine], [Put("work", b"3")]) is None
            entry = await backend.get("work")
            assert entry is not None
            assert entry.value == b"2"

    asyncio.run(story())


@LAYOUTS
def test_who_stands_behind_is_told_when_the_one_before_him_has_left(place: Place, layout: Layout) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            session, elsewhere = await backend.open_session(10.0), await other.open_session(10.0)
            marks = [uuid4().hex for _ in range(4)]
            first = await other.enter("line", elsewhere, marks[0], b"", Kind.WRITER, layout)
            second = await other.enter("line", elsewhere, marks[1], b"", Kind.WRITER, layout)
            third = await backend.enter("line", session, marks[2], b"", Kind.WRITER, layout)
            await other.enter("line", elsewhere, marks[3], b"", Kind.WRITER, layout)
            before = third.line[1]
            assert before.key == second.mine.key

            async def line() -> list[str]:
                return [each.key for each in await backend.line_before("line", layout, third.mine, session)]

            assert await line() == [first.mine.key, second.mine.key, third.mine.key]
            told = asyncio.ensure_future(backend.until_gone(before, third.mine, session))
            await other.leave("line", elsewhere, marks[0])
            await asyncio.sleep(0.05)
            assert not told.done()
            await other.leave("line", elsewhere, marks[1])
            async with asyncio.timeout(20):
                await told
                assert await line() == [third.mine.key]
                await backend.until_gone(before, third.mine, session)  # also who asks later
            await backend.leave("line", session, marks[2])
            assert third.mine.key not in await line()

    asyncio.run(story())


def test_who_stands_behind_is_told_when_his_own_session_is_over(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            session, elsewhere = await backend.open_session(10.0), await other.open_session(10.0)
            await enter(other, elsewhere, uuid4().hex)
            mine = await backend.enter("line", session, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO)
            told = asyncio.ensure_future(backend.until_gone(mine.line[0], mine.mine, session))
            await asyncio.sleep(0.05)
            await session.close()
            async with asyncio.timeout(20):
                with pytest.raises((SessionExpired, SessionClosed)):
                    await told

    asyncio.run(story())


@with_connections_to_cut
def test_a_connection_that_breaks_meanwhile_changes_nothing(place: Place) -> None:
    async def story() -> None:
        async with (
            place.leash() as leash,
            place.backend(by=leash) as backend,
            place.backend() as other,
        ):
            session, elsewhere = await backend.open_session(10.0), await other.open_session(10.0)
            mark = uuid4().hex
            await enter(other, elsewhere, mark)
            mine = await backend.enter("line", session, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO)
            told = asyncio.ensure_future(backend.until_gone(mine.line[0], mine.mine, session))
            await asyncio.sleep(0.05)
            leash.cut()
            await other.leave("line", elsewhere, mark)
            async with asyncio.timeout(20):
                await told
                line = await backend.line_before("line", Layout.KAZOO, mine.mine, session)
            assert [each.key for each in line] == [mine.mine.key]

    asyncio.run(story())
