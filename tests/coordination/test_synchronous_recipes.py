"""Queues, logs, transactions and several locks on threads, as they are in tasks."""

from __future__ import annotations

import asyncio
import threading

import pytest

import agreed.coordination.client as asynchronous
from agreed.backends.contract import Absent, Delete, Put
from agreed.backends.errors import Unsupported
from agreed.coordination.synchronous.transactions import Transaction
from agreed.recipes.errors import AcquireTimeout, Conflict, JobLost, LockLost, TransactionTimeout
from agreed.recipes.transactions import Transaction as AsynchronousTransaction
from tests.coordination.test_synchronous import Cast


@pytest.fixture
def cast() -> Cast:
    return Cast()


def test_jobs_are_done_by_threads_each_once(cast: Cast) -> None:
    done: list[int] = []

    def work() -> None:
        with cast.client() as client:
            for job in client.queue("q", int):
                with job:
                    if job.value < 0:
                        return
                    done.append(job.value)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    with cast.client() as client:
        queue = client.queue("q", int)
        for number in [*range(12), -1, -1, -1]:
            queue.put(number)
        for thread in threads:
            thread.join(30)
        assert sorted(done) == list(range(12))
        assert queue.count() == 0


def test_a_body_that_fails_or_loses_its_job_does_not_do_it(cast: Cast) -> None:
    with cast.client() as client:
        queue = client.queue("q", str)
        queue.put("a")
        with pytest.raises(ValueError, match="mine"), queue.take() as job:
            raise ValueError("mine")
        with pytest.raises(JobLost), queue.take() as job:
            cast.end_sessions()
        queue.put("b")
        with queue.take() as job:
            job.ack(also=[Put("result", b"done")])
            assert not job.held
        with pytest.raises(AcquireTimeout):
            queue.take(0.05)
        entry = client.kv.get("result")
        assert entry is not None
        assert entry.value == b"done"


def test_a_log_is_read_to_its_end_or_followed(cast: Cast) -> None:
    with cast.client() as client:
        log = client.log("log", str)
        assert [log.append(word) for word in ("a", "b")] == [0, 1]
        assert [record.value for record in log.read()] == ["a", "b"]
        with log.read(1, follow=True) as records:
            assert records.next(30.0).value == "b"
            with pytest.raises(TimeoutError):
                records.next(0.05)
            log.append("c")
            assert next(records).value == "c"
        log.trim(2)
        assert (log.first(), log.length()) == (2, 3)


def test_transactions_of_threads_lose_nothing(cast: Cast) -> None:
    with cast.client() as client:

        @client.transactional
        def add(t: Transaction, number: int) -> int:
            after = int(t.get("number") or b"0") + number
            t.put("number", b"%d" % after)
            return after

        threads = [threading.Thread(target=lambda: [add(1) for _ in range(5)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert add(0) == 20

        def never(t: Transaction) -> None:
            t.require(Absent("number"))
            t.put("other", b"")

        with pytest.raises(TransactionTimeout):
            client.transact(never, timeout=0.1)

        def fail(t: Transaction) -> None:
            t.put("other", b"")
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            client.transact(fail)
        assert client.kv.get("other") is None
        assert client.txn([Absent("other")], [Put("other", b"1"), Delete("number")]) is not None
        assert client.txn([Absent("other")], [Delete("other")]) is None


def test_keys_and_values(cast: Cast) -> None:
    with cast.client() as client:
        version = client.kv.put("a/1", b"1", if_absent=True)
        with pytest.raises(Conflict):
            client.kv.put("a/1", b"2", if_version=version + 1)
        assert [entry.key for entry in client.kv.list("a")] == ["a/1"]
        assert (client.kv.names("a"), client.kv.count("a")) == (["1"], 1)
        with client.kv.follow("a/1") as states:
            state = states.next(30.0)
            assert state is not None
            client.kv.delete("a/1", if_version=state.version)
            assert states.next(30.0) is None
        with pytest.raises(Unsupported):
            client.kv.watch("a")


def test_several_locks(cast: Cast) -> None:
    with cast.client("one") as one, cast.client("two") as two:
        with one.multilock(["b", "a"]) as held:
            held.check()
            assert sorted(held.tokens) == ["a", "b"]
            with pytest.raises(AcquireTimeout), two.multilock(["b", "c"], timeout=0.05):
                pytest.fail("it ran")
            assert two.lock("c").holder() is None
            holder = two.multilock("ab").holders()["a"]
            assert holder is not None
            assert holder.value == b"one"
        with pytest.raises(LockLost), one.multilock(["b", "a"]) as held:
            cast.end_sessions()


def test_the_asynchronous_client_makes_transactions_of_functions_as_well(cast: Cast) -> None:
    async def story() -> None:
        async with asynchronous.Client(cast.stage.client(), ttl=10.0, identity="me") as client:

            @client.transactional
            async def add(t: AsynchronousTransaction, number: int, *, key: str) -> int:
                after = int(await t.get(key) or b"0") + number
                t.put(key, b"%d" % after)
                return after

            await asyncio.gather(*(add(2, key="number") for _ in range(5)))
            assert await add(0, key="number") == 10

    asyncio.run(story())
