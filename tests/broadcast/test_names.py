"""Publishers and consumers by name: what is once, what is at least once, and who is shut out."""
from __future__ import annotations

import asyncio

import pytest

from agreed.broadcast.aio import Log
from agreed.broadcast.errors import Fenced, OffsetUnknown, PublisherStopped
from agreed.broadcast.publisher import WAITING_MESSAGES
from agreed.client import aio
from agreed.client.errors import SessionClosed, Unanswered
from tests.broadcast.running import DEADLINE_S, SMALL, all_of, serving, stubbornly, take, told


def test_a_publisher_goes_on_behind_its_last_message() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            async with await log.publisher("till") as publisher:
                assert await publisher.publish_once(10, b"ten") == 0
                assert await publisher.publish_once(10, b"ten") is None
                assert await publisher.publish_once(9, b"nine") is None
                assert await publisher.publish_once(12, b"twelve") == 1
            async with await log.publisher("till") as publisher:
                assert publisher.last_number == 12
                assert await publisher.publish_once(12, b"twelve") is None
                assert await publisher.publish(b"next") == 2
                assert publisher.last_number == 13
            assert [message.number for message in await all_of(log)] == [10, 12, 13]

    told(story)


def test_the_same_number_given_twice_at_once_is_one_message() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            publisher = await log.publisher("till")
            offsets = await asyncio.gather(*[publisher.publish_once(1, b"x") for _ in range(3)])
            assert offsets == [0, 0, 0]
            assert await log.end() == 1

    told(story)


def test_of_two_publishers_of_one_name_the_older_is_shut_out() -> None:
    async def story() -> None:
        async with serving() as (server, session), await aio.connect(server.url) as other:
            log, same = await Log.open(session, "/log", SMALL), await Log.open(other, "/log")
            old = await log.publisher("till")
            await old.publish(b"old")
            new = await same.publisher("till")
            with pytest.raises(Fenced) as raised:
                await old.publish(b"too late")
            assert raised.value.surely_not_done
            with pytest.raises(PublisherStopped) as stopped:
                await old.publish(b"too late")
            assert isinstance(stopped.value.__cause__, Fenced)
            with pytest.raises(PublisherStopped):
                await old.flush()
            with pytest.raises(PublisherStopped):
                await old.publish_once(1, b"old")  # it was published, but not all that has failed was
            await new.publish(b"new")
            assert [message.payload for message in await all_of(log)] == [b"old", b"new"]

    told(story)


def test_what_was_given_when_it_closes_is_published_and_nothing_after() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            publisher = await log.publisher("till")
            given = [asyncio.ensure_future(publisher.publish(b"x")) for _ in range(20)]
            await asyncio.sleep(0)
            await publisher.close()
            assert sorted(await asyncio.gather(*given)) == list(range(20))
            with pytest.raises(PublisherStopped):
                await publisher.publish(b"x")

    told(story)


def test_who_gives_faster_than_the_cluster_takes_waits() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            publisher = await log.publisher("till")
            giving = asyncio.ensure_future(publisher.publish_many([b""] * (WAITING_MESSAGES + 5_000)))
            most = 0
            while not giving.done():
                most = max(most, len(publisher._waiting))
                await asyncio.sleep(0.001)
            assert await giving == list(range(WAITING_MESSAGES + 5_000))
            assert 0 < most <= WAITING_MESSAGES

    told(story)


def test_an_anonymous_publisher_leaves_nothing_behind() -> None:
    async def story() -> None:
        async with serving() as (server, session):
            await Log.open(session, "/log", SMALL)
            async with await aio.connect(server.url) as other:
                await (await (await Log.open(other, "/log")).publisher()).publish(b"x")
                assert len((await session.children("/log/publishers")).names) == 1
            assert (await session.children("/log/publishers")).names == ()

    told(story)


def test_a_session_that_ends_stops_its_publishers() -> None:
    async def story() -> None:
        async with serving() as (server, session):
            log = await Log.open(session, "/log", SMALL)
            async with await aio.connect(server.url) as other:
                publisher = await (await Log.open(other, "/log")).publisher("till")
            with pytest.raises(SessionClosed) as raised:
                await publisher.publish(b"x")
            assert raised.value.surely_not_done
            assert await log.end() == 0

    told(story)


def test_a_message_that_nobody_takes_in_time_may_have_been_published() -> None:
    async def story() -> None:
        async with serving() as (server, session):
            log = await Log.open(session, "/log", SMALL)
            publisher = await log.publisher("till", timeout_s=0.2)
            server.loss = 1.0
            with pytest.raises(Unanswered) as raised:
                await publisher.publish(b"x")
            assert raised.value.maybe
            server.loss = 0.0
            again = await log.publisher("till")
            assert again.last_number in (0, 1)
            assert await log.end() == again.last_number

    told(story)


def test_the_offset_is_found_when_the_answer_was_lost() -> None:
    """Others have published since, and what was published is packed by now."""

    async def story() -> None:
        async with serving() as (server, session), await aio.connect(server.url) as other:
            log, same = await Log.open(session, "/log", SMALL), await Log.open(other, "/log")
            publisher, busy = await log.publisher("till"), await same.publisher("busy")
            await busy.publish_many([b"before"] * 5)
            multi = session.multi

            async def answer_lost(*arguments: object, **options: object) -> object:
                session.multi = multi  # type: ignore[method-assign]
                await multi(*arguments, **options)  # type: ignore[arg-type]
                await busy.publish_many([b"after"] * 40)
                await same.tidy()
                if gone:
                    await same.trim(40)
                return await multi(*arguments, **options)  # type: ignore[arg-type]

            gone = False
            session.multi = answer_lost  # type: ignore[assignment]
            assert await publisher.publish_many([b"a", b"b"]) == [5, 6]
            gone = True
            session.multi = answer_lost  # type: ignore[assignment]
            await same.trim(40)
            late = asyncio.ensure_future(publisher.publish(b"c"))
            assert await late == 47

    told(story)


def test_a_message_that_is_not_kept_any_more_has_no_offset_that_anybody_knows() -> None:
    async def story() -> None:
        async with serving() as (server, session), await aio.connect(server.url) as other:
            log, same = await Log.open(session, "/log", SMALL), await Log.open(other, "/log")
            publisher = await log.publisher("till")
            multi = session.multi

            async def answer_lost(*arguments: object, **options: object) -> object:
                session.multi = multi  # type: ignore[method-assign]
                await multi(*arguments, **options)  # type: ignore[arg-type]
                await same.trim(1)
                return await multi(*arguments, **options)  # type: ignore[arg-type]

            session.multi = answer_lost  # type: ignore[assignment]
            with pytest.raises(OffsetUnknown) as raised:
                await publisher.publish(b"a")
            assert not raised.value.surely_not_done

    told(story)


# --- consumers --------------------------------------------------------------------------------------------


def test_a_consumer_goes_on_where_it_said_it_was() -> None:
    async def story() -> None:
        async with serving() as (_server, session):
            log = await Log.open(session, "/log", SMALL)
            publisher = await log.publisher("p")
            await publisher.publish_many([b"%d" % each for each in range(30)])
            first = await log.subscribe(5, consumer="invoices")
            assert [message.offset for message in await take(first, 4)] == [5, 6, 7, 8]
            await first.commit()
            await take(first, 3)
            second = await log.subscribe(0, consumer="invoices")
            assert second.position == 9
            assert [message.offset for message in await take(second, 2)] == [9, 10]
            await second.commit(10)
            assert (await log.subscribe(consumer="invoices")).position == 10
            assert (await log.subscribe(consumer="others")).position == 0

    told(story)


def test_of_two_consumers_of_one_name_the_older_is_shut_out() -> None:
    async def story() -> None:
        async with serving() as (server, session), await aio.connect(server.url) as other:
            log, same = await Log.open(session, "/log", SMALL), await Log.open(other, "/log")
            await (await log.publisher("p")).publish_many([b"x"] * 10)
            old = await log.subscribe(consumer="invoices")
            await take(old, 5)
            new = await same.subscribe(consumer="invoices")
            with pytest.raises(Fenced):
                await old.commit()
            assert new.position == 0
            await new.commit(3)
            assert (await log.subscribe(consumer="invoices")).position == 3

    told(story)


@pytest.mark.parametrize("seed", range(2))
def test_a_commit_without_an_answer_may_be_said_again(seed: int) -> None:
    async def story() -> None:
        async with serving(seed) as (server, session):
            log = await Log.open(session, "/log", SMALL)
            await (await log.publisher("p")).publish_many([b"x"] * 40)
            subscription = await log.subscribe(consumer="invoices")
            server.loss = 0.3
            for _ in range(15):
                await stubbornly(lambda: subscription.next(DEADLINE_S))
                await stubbornly(subscription.commit)
            server.loss = 0.0
            assert (await log.subscribe(consumer="invoices")).position == 15

    told(story)
