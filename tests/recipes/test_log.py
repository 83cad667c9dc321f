"""One order for all, without a hole and without doubles, from wherever one begins to read."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Put
from agreed.client.errors import ClientError
from agreed.recipes import segments
from agreed.recipes.codec import codec_of
from agreed.recipes.errors import CodecError, LogTrimmed
from agreed.recipes.log import Log
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy


def words(sessions: Sessions) -> Log[str]:
    return Log(sessions, "log", codec_of(str))


async def all_of(log: Log[str], since: int = 0) -> list[tuple[int, str]]:
    async with log.read(since) as records:
        return [(record.offset, record.value) async for record in records]


def test_what_is_appended_is_read_by_everybody_in_one_order(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            logs = [words(each) for each in (one, two, three)]
            assert await all_of(logs[0]) == []
            mine = await asyncio.gather(*(logs[n % 3].append(f"word {n}") for n in range(30)))
            assert sorted(mine) == list(range(30))
            found = await all_of(logs[1])
            assert found == sorted((offset, f"word {n}") for n, offset in enumerate(mine))
            assert await all_of(logs[2], since=25) == found[25:]
            assert await logs[0].length() == 30
            async with logs[0].read() as records:
                revisions = [record.revision async for record in records]
            assert revisions == sorted(revisions)

    clients.play(story)


def test_what_one_appends_stays_in_the_order_in_which_he_did(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            log = words(one)
            assert await asyncio.gather(*(log.append(f"{n}") for n in range(200))) == list(range(200))
            assert await all_of(log) == [(n, f"{n}") for n in range(200)]
            assert await all_of(log, 63) == [(n, f"{n}") for n in range(63, 200)]

    clients.play(story)


def test_who_follows_gets_the_old_ones_and_then_those_that_come(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = words(one), words(two)
            await mine.append("a")
            async with yours.read(follow=True) as records, yours.read(None, follow=True) as news:
                assert (await records.next(30.0)).value == "a"
                with pytest.raises(TimeoutError):
                    await news.next(0.1)
                with pytest.raises(TimeoutError):
                    await records.next(0.05)
                for number in range(70):
                    await mine.append(f"{number}")
                    assert (await records.next(30.0)).value == f"{number}"
                assert [(await news.next(30.0)).offset for _ in range(70)] == list(range(1, 71))

    clients.play(story)


def test_an_append_whose_answer_is_lost_is_in_it_once(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            mine, yours = words(sessions), words(two)
            await mine.append("0")
            way.lose(Loss.DONE, Loss.LATE, Loss.NOT_DONE, Loss.DONE, Loss.DONE, Loss.LATE)
            for number in range(1, 6):
                await mine.append(f"{number}")
                await yours.append(f"{number} as well")
            await way.arrive()
            assert way.lost == 6
            expected = ["0"]
            for number in range(1, 6):
                expected += [f"{number}", f"{number} as well"]
            assert [word for _, word in await all_of(yours)] == expected

    clients.play(story)


def test_what_is_trimmed_cannot_be_read_and_is_not_there_any_more(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SEGMENT", 4)

    async def story() -> None:
        async with clients() as one:
            log = words(one)
            await asyncio.gather(*(log.append(f"{n}") for n in range(15)))
            async with log.read() as late:
                assert (await late.next()).offset == 0
                await log.trim(6)
                await log.trim(3)  # of what is gone nothing comes back
                assert await log.first() == 6
                assert [(await late.next()).offset for _ in range(3)] == [1, 2, 3]  # it had them
                with pytest.raises(LogTrimmed) as told:
                    await late.next()
            assert told.value.first == 6
            with pytest.raises(LogTrimmed):
                await all_of(log, 5)
            assert [offset for offset, _ in await all_of(log, 6)] == list(range(6, 15))
            names = await one.backend.names("log/records")
            assert len(names) == 3
            await log.trim(1000)
            assert (await log.first(), await log.length()) == (15, 15)
            assert await one.backend.names("log/records") == []
            assert await log.append("more") == 15

    clients.play(story)


def test_who_cannot_append_is_told_and_who_is_cancelled_is_in_nobodys_way(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            log = words(one)
            await log.append("first")
            waiting = [asyncio.create_task(log.append(f"{n}")) for n in range(3)]
            await asyncio.sleep(0)
            waiting[1].cancel()
            await asyncio.wait(waiting)
            found = [word for _, word in await all_of(words(two))]
            assert found in (["first", "0", "2"], ["first", "0", "1", "2"])
            with pytest.raises(CodecError):
                await log.append(7)  # type: ignore[arg-type]
            sessions, way = lossy(two)
            broken = words(sessions)
            await broken.append("more")
            way.lose(*[Loss.NOT_DONE] * 1000)
            appending = asyncio.create_task(broken.append("never"))
            while not way.lost:
                await asyncio.sleep(0.001)
            await (await sessions.get()).close()
            with pytest.raises(ClientError):
                await appending
            assert [word for _, word in await all_of(log)][-1] == "more"
            await one.backend.commit([], [Put("log/extent", b"?")])
            with pytest.raises(CodecError, match="no log"):
                await log.length()

    clients.play(story)
