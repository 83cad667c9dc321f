"""A lock is held by one at a time, in the order in which they came, and nobody who gave up is in the way."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Kind, Put, Session
from agreed.recipes.errors import AcquireTimeout, LockLost
from agreed.recipes.lock import Lock, ReadWriteLock
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients, nobody_is_left, until_so_many_wait


def test_one_at_a_time_in_the_order_in_which_they_came_with_growing_tokens(clients: Clients) -> None:
    async def story() -> None:
        inside: list[int] = []
        order: list[int] = []
        tokens: list[int] = []

        async def work(sessions: Sessions, number: int) -> None:
            async with Lock(sessions, "locks/a") as held:
                inside.append(number)
                assert len(inside) == 1
                held.check()
                assert 0 < held.remaining() <= 10.0
                await asyncio.sleep(0.01)
                order.append(number)
                tokens.append(held.token)
                inside.remove(number)

        async with clients() as one, clients() as two, clients() as three:
            watcher = Lock(one, "locks/a")
            async with Lock(one, "locks/a") as first, asyncio.TaskGroup() as group:
                for number, sessions in enumerate((two, three, one, two)):
                    group.create_task(work(sessions, number))
                    await until_so_many_wait(watcher, number + 1)
                await first.release()
            assert order == [0, 1, 2, 3]
            assert [first.token, *tokens] == sorted({first.token, *tokens})
            await nobody_is_left(one, "locks/a")

    clients.play(story)


def test_who_waits_too_long_gets_an_error_and_stands_in_nobodys_way(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            lock, impatient = Lock(one, "a"), Lock(two, "a", timeout=0.2)
            async with lock:
                ran = False
                with pytest.raises(AcquireTimeout):
                    async with impatient:
                        ran = True
                assert not ran
                with pytest.raises(TimeoutError):
                    await impatient.acquire(0.05)
                assert await impatient.try_acquire() is None
                await two.tidied()
                assert await lock.waiters() == []
            held = await impatient.try_acquire()
            assert held is not None
            await held.release()
            await nobody_is_left(two, "a")

    clients.play(story)


def test_the_time_is_for_all_of_the_waiting_however_often_the_line_moves(clients: Clients) -> None:
    """The line moves several times in a second, for much longer: had each step its own second, it went on."""

    async def story() -> None:
        async with clients() as one, clients() as two:
            lock = Lock(one, "a")
            held = await lock.acquire()
            waiting = [asyncio.create_task(lock.acquire()) for _ in range(20)]
            await until_so_many_wait(lock, 20)
            last = asyncio.create_task(Lock(two, "a").acquire(1.0))
            while not last.done():
                assert waiting, "each step had its own second"
                # Whoever stands before it goes, and it looks again.
                await asyncio.wait([last], timeout=0.2)
                task = waiting.pop()
                task.cancel()
                await asyncio.wait([task])
            with pytest.raises(AcquireTimeout):
                await last
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await held.release()

    clients.play(story)


def test_a_wait_that_is_cancelled_leaves_nothing_behind(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            lock = Lock(one, "a")
            held = await lock.acquire()
            for turns in range(12):
                task = asyncio.create_task(Lock(two, "a").acquire())
                for _ in range(turns):
                    await asyncio.sleep(0.001)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await two.tidied()
            assert await lock.waiters() == []
            await held.release()
            await nobody_is_left(one, "a")

    clients.play(story)


def test_who_has_it_and_who_waits_can_be_seen(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            lock = Lock(one, "a", value=b"one")
            assert await lock.holder() is None
            held = await lock.acquire()
            task = asyncio.create_task(Lock(two, "a", value=b"two").acquire())
            await until_so_many_wait(lock, 1)
            holder = await lock.holder()
            assert holder is not None
            assert (holder.value, holder.token, holder.key) == (b"one", held.token, held.key)
            assert holder.session == held.session.id
            [waiter] = await lock.waiters()
            assert waiter.value == b"two"
            await held.release()
            after = await task
            assert after.token > held.token
            await after.release()

    clients.play(story)


def test_an_end_of_the_session_is_the_end_of_the_lock_and_the_next_one_has_it(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            began: asyncio.Future[Session] = asyncio.get_running_loop().create_future()

            async def work() -> None:
                async with Lock(one, "a") as held:
                    began.set_result(held.session)
                    await asyncio.Event().wait()

            task = asyncio.create_task(work())
            session = await began
            waiting = asyncio.create_task(Lock(two, "a").acquire())
            await until_so_many_wait(Lock(two, "a"), 1)
            await session.close()
            with pytest.raises(LockLost):
                await task
            held = await waiting
            held.check()
            await held.release()
            async with Lock(one, "a"):
                pass  # with a new session

    clients.play(story)


def test_what_is_held_guards_a_commit_and_what_was_lost_does_not(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            held = await Lock(one, "a").acquire()
            assert await one.backend.commit([held.condition()], [Put("result", b"1")]) is not None
            await held.release()
            other = await Lock(two, "a").acquire()
            assert await one.backend.commit([held.condition()], [Put("result", b"2")]) is None
            entry = await two.backend.get("result")
            assert entry is not None
            assert entry.value == b"1"
            await other.release()

    clients.play(story)


def test_whoever_holds_a_reentrant_lock_may_take_it_again(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            lock = Lock(one, "a", reentrant=True, timeout=30.0)
            async with lock as outer:
                async with lock as inner:
                    assert inner is outer
                assert await Lock(two, "a").try_acquire() is None
                with pytest.raises(AcquireTimeout):
                    await asyncio.create_task(lock.acquire(0.1))  # another task is another one
            async with Lock(two, "a", timeout=30.0):
                pass

    clients.play(story)


def test_a_lock_that_is_not_reentrant_waits_for_itself(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            lock = Lock(one, "a")
            async with lock:
                with pytest.raises(AcquireTimeout):
                    await lock.acquire(0.1)

    clients.play(story)


def test_readers_are_together_writers_alone_and_nobody_overtakes(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            lock = ReadWriteLock(one, "rw")
            readers = [await lock.read().acquire(30.0), await ReadWriteLock(two, "rw").read().acquire(30.0)]
            writer = asyncio.create_task(ReadWriteLock(three, "rw").write().acquire())
            await until_so_many_wait(lock.read(), 1)
            late = asyncio.create_task(ReadWriteLock(two, "rw").read().acquire())
            await until_so_many_wait(lock.read(), 2)
            assert [holder.kind for holder in await lock.read().holders()] == [Kind.READER] * 2
            assert await lock.read().try_acquire() is None, "a writer is before it"
            assert await lock.write().try_acquire() is None
            await readers.pop(0).release()
            await asyncio.sleep(0.05)
            assert not writer.done()
            await readers.pop().release()
            written = await writer
            assert not late.done()
            await written.release()
            read = await late
            assert read.token > written.token
            await read.release()
            await nobody_is_left(one, "rw")

    clients.play(story)
