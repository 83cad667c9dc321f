"""A log: order, offsets, packing, what is kept, and who is told that it is not."""
from __future__ import annotations

import asyncio
import struct

import pytest

from agreed.broadcast.aio import LATEST, SEGMENT_MESSAGES_MAX, Log
from agreed.broadcast.errors import Gap, LogChanged
from agreed.broadcast.layout import MESSAGE_BYTES_MAX, Extent, Settings, decode
from agreed.client import aio
from agreed.client.errors import TooLarge
from agreed.errors import ConfigurationError
from tests.broadcast.running import DEADLINE_S, SMALL, all_of, serving, take, told


def number(value: int) -> bytes:
    return struct.pack(">q", value)


def test_everybody_sees_the_same_in_the_same_order_at_the_same_offsets() -> None:
    async def story() -> None:
        async with serving() as (server, session), await aio.connect(server.url) as other:
            log = await Log.open(session, "/deep/orders", SMALL)
            same = await Log.open(other, "/deep/orders", Settings(segment_messages=77))
            assert same.settings == SMALL
            one, two = await log.publisher("one"), await same.publisher("two")
            readers = [await log.subscribe(), await same.subscribe(), await same.subscribe(150)]
            offsets = await asyncio.gather(
                one.publish_many([b"a%d" % index for index in range(100)]),
                two.publish_many([b"b%d" % index for index in range(100)]),
            )
            assert sorted(offsets[0] + offsets[1]) == list(range(200))
            first, second = await take(readers[0], 200), await take(readers[1], 200)
            assert [message.offset for message in first] == list(range(200))
            assert first == second
            assert await take(readers[2], 50) == first[150:]
            for name, letter in (("one", b"a"), ("two", b"b")):
                mine = [message for message in first if message.publisher == name]
                assert [message.payload for message in mine] == [letter + b"%d" % each for each in range(100)]
                assert [message.number for message in mine] == list(range(1, 101))

    told(story)


def test_a_long_tail_is_packed_and_nothing_is_lost_or_moved() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            publisher = await log.publisher("p")
            await publisher.publish_many([number(each) for each in range(95)])
            before = await log.read(90)
            await log.tidy()
            segments = (await session.children("/log/segments")).names
            tail = (await session.children("/log/tail")).names
            assert segments == tuple(f"{start:010d}" for start in range(0, 80, 10))
            assert len(tail) == 15
            assert await log.read(90) == before
            messages = await all_of(log)
            assert [message.payload for message in messages] == [number(each) for each in range(95)]
            assert await publisher.publish(b"next") == 95
            assert (await log.first(), await log.end()) == (0, 96)

    told(story)


def test_publishers_pack_by_themselves() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            publisher = await log.publisher("p")
            for each in range(100):
                await publisher.publish(number(each))
            async with asyncio.timeout(DEADLINE_S):
                while len((await session.children("/log/segments")).names) < 5:
                    await asyncio.sleep(0.01)
            assert [message.offset for message in await all_of(log)] == list(range(100))

    told(story)


def test_segments_hold_fewer_messages_where_these_are_large() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            publisher = await log.publisher("p")
            sizes = [MESSAGE_BYTES_MAX if each % 7 == 0 else 200_000 for each in range(25)]
            payloads = [bytes([each]) * size for each, size in enumerate(sizes)]
            await publisher.publish_many(payloads)
            await log.tidy()
            assert len((await session.children("/log/segments")).names) > 2
            assert [message.payload for message in await all_of(log)] == payloads
            with pytest.raises(TooLarge):
                await publisher.publish(bytes(MESSAGE_BYTES_MAX + 1))
            assert await publisher.publish(b"still there") == 25

    told(story)


@pytest.mark.parametrize("size", [0, 100, 900])
def test_the_largest_segment_fits_into_what_a_server_takes(size: int) -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/a/long/way/down", Settings(segment_messages=SEGMENT_MESSAGES_MAX))
            publisher = await log.publisher("somebody")
            await publisher.publish_many([bytes(size)] * (2 * SEGMENT_MESSAGES_MAX))
            await log.tidy()
            assert len((await session.children("/a/long/way/down/segments")).names) == 1
            assert len(await all_of(log)) == 2 * SEGMENT_MESSAGES_MAX

    told(story)


def test_many_at_once_pack_and_drop_and_do_no_harm() -> None:
    async def story() -> None:
        async with serving() as (server, session), await aio.connect(server.url) as other:
            log = await Log.open(session, "/log", Settings(segment_messages=10, retain_messages=50))
            same = await Log.open(other, "/log")
            publisher = await log.publisher("p")
            await publisher.publish_many([number(each) for each in range(300)])
            await asyncio.gather(*[each.tidy() for each in (log, same) for _ in range(4)])
            assert await log.first() == 250
            assert [message.payload for message in await all_of(log, 250)] == [
                number(each) for each in range(250, 300)
            ]
            left = len((await session.children("/log/segments")).names)
            assert left * 10 + len((await session.children("/log/tail")).names) <= 60

    told(story)


# --- what is kept -----------------------------------------------------------------------------------------


def test_who_falls_behind_is_told_and_not_just_given_later_messages() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            publisher = await log.publisher("p")
            await publisher.publish_many([number(each) for each in range(60)])
            slow = await log.subscribe(3)
            await log.tidy()
            await log.trim(25)
            with pytest.raises(Gap) as raised:
                await slow.next(DEADLINE_S)
            assert (raised.value.offset, raised.value.first) == (3, 25)
            with pytest.raises(Gap):
                await slow.next(DEADLINE_S)
            slow.seek(raised.value.first)
            assert [message.offset for message in await take(slow, 35)] == list(range(25, 60))
            assert (await session.children("/log/segments")).names[0] == "0000000020"
            await log.trim(10)
            assert await log.first() == 25

    told(story)


@pytest.mark.parametrize("packed", [False, True])
def test_everything_may_be_dropped_and_offsets_go_on(packed: bool) -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            publisher = await log.publisher("p")
            await publisher.publish_many([number(each) for each in range(45)])
            if packed:
                await log.tidy()
            await log.trim(10_000)
            assert (await log.first(), await log.end()) == (45, 45)
            assert (await session.children("/log/tail")).names == ()
            assert (await session.children("/log/segments")).names == ()
            assert await publisher.publish(b"x") == 45
            assert (await (await log.subscribe()).next(DEADLINE_S)).offset == 45

    told(story)


def test_messages_are_dropped_by_age() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", Settings(segment_messages=10, retain_ms=60_000))
            publisher = await log.publisher("p")
            await publisher.publish_many([number(each) for each in range(35)])
            await log.tidy()
            assert await log.first() == 0
            async with asyncio.timeout(DEADLINE_S):  # until the clock of the store has moved on
                await asyncio.sleep(0.005)
            [*_, last] = await all_of(log)
            late = await publisher.publish(b"late")
            [newest] = await log.read(late)
            assert newest.published_ms > last.published_ms
            log._upkeep._wall_ms = lambda: newest.published_ms + 60_000
            await log.tidy()
            assert await log.first() == late
            log._upkeep._wall_ms = lambda: newest.published_ms + 60_001
            await log.tidy()
            assert await log.first() == late + 1

    told(story)


def test_a_reader_that_waits_while_a_thousand_messages_pass_is_not_forgotten() -> None:
    """Between its look and its watch the message that it waits for comes, and is packed away."""

    async def story() -> None:
        async with serving() as (server, session), await aio.connect(server.url) as other:
            log = await Log.open(session, "/log", SMALL)
            same = await Log.open(other, "/log")
            publisher = await log.publisher("p")
            subscription = await same.subscribe()
            reader = subscription._reader
            look = reader.watch

            async def late(offset: int) -> asyncio.Event:
                if offset == 0:
                    await publisher.publish_many([number(each) for each in range(40)])
                    await log.tidy()
                return await look(offset)

            reader.watch = late  # type: ignore[method-assign]
            assert [message.offset for message in await take(subscription, 40)] == list(range(40))

    told(story)


# --- where a subscription begins --------------------------------------------------------------------------


def test_latest_is_what_is_published_after_the_call() -> None:
    async def story() -> None:
        async with serving() as (server, session), await aio.connect(server.url) as other:
            log, same = await Log.open(session, "/log", SMALL), await Log.open(other, "/log")
            publisher = await log.publisher()
            await publisher.publish(b"before")
            subscription = await same.subscribe(LATEST)
            await publisher.publish(b"after")
            assert (await subscription.next(DEADLINE_S)).payload == b"after"
            with pytest.raises(TimeoutError):
                await subscription.next(0.05)
            later = asyncio.ensure_future(subscription.next(DEADLINE_S))
            await asyncio.sleep(0.02)
            await publisher.publish(b"and on")
            assert (await later).offset == 2

    told(story)


def test_what_others_have_put_there_is_no_message() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            await (await log.publisher("p")).publish_many([b"x"] * 30)
            await session.create("/log/tail/m-", b"junk", sequential=True)
            with pytest.raises(LogChanged, match="m-0000000030"):
                await log.read(30)
            await log.tidy()
            await session.set("/log/segments/0000000010", b"junk")
            with pytest.raises(LogChanged, match="0000000010"):
                await log.read(12)
            await session.create("/log/segments/junk")
            with pytest.raises(LogChanged, match="junk"):
                await log.read(0)
            await session.delete("/log/segments/junk")
            await session.delete("/log/tail/m-0000000025")
            with pytest.raises(LogChanged, match="m-0000000025"):
                await log.read(25)
            with pytest.raises(LogChanged, match="m-0000000025"):
                await log.trim(28)
            await session.set("/log/extent", b"junk")
            with pytest.raises(LogChanged, match="extent"):
                await log.end()
            await session.set("/log/publishers/p", b"junk")
            with pytest.raises(LogChanged, match="publishers/p"):
                await log.publisher("p")

    told(story)


def test_what_makes_no_sense_is_refused() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            for path, settings in (
                ("log", None), ("/log/", None), ("/log", Settings(segment_messages=0)),
                ("/log", Settings(segment_messages=10**6)), ("/log", Settings(retain_messages=0)),
                ("/log", Settings(retain_ms=-1)),
            ):  # fmt: skip
                with pytest.raises(ConfigurationError):
                    await Log.open(session, path, settings)
            await session.create("/other", b"something else")
            with pytest.raises(LogChanged):
                await Log.open(session, "/other")
            log = await Log.open(session, "/log", SMALL)
            for name in ("", "a/b", ".", "..", "a\n"):
                with pytest.raises(ConfigurationError):
                    await log.publisher(name)
            with pytest.raises(ConfigurationError):
                await (await log.subscribe()).commit()
            assert decode((await session.get("/log/extent")).data, Extent, "") == Extent(0, 0)

    told(story)
