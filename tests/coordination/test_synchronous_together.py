"""Groups, registries, barriers and values on threads, as they are in tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from agreed.client.errors import SessionExpired
from agreed.recipes.assignment import owner_of
from agreed.recipes.cell import Versioned
from agreed.recipes.errors import AcquireTimeout, MembershipLost, WaitTimeout
from tests.coordination.test_synchronous import Cast

DEADLINE_S = 30.0


@pytest.fixture
def cast() -> Cast:
    return Cast()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def in_threads(*works: Callable[[], None]) -> None:
    failed: list[BaseException] = []

    def watched(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=watched, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not failed
    assert not any(thread.is_alive() for thread in threads)


def test_values_are_changed_by_functions_that_run_on_the_calling_thread(cast: Cast) -> None:
    ran_on: set[int] = set()
    both_are_there = threading.Barrier(2, timeout=60.0)  # who has ended may have left his number to the other

    def work() -> None:
        both_are_there.wait()
        with cast.client() as client:

            def one_more(old: int | None) -> int:
                ran_on.add(threading.get_ident())
                return (old or 0) + 1

            for _ in range(5):
                client.cell("n", int).update(one_more)
        both_are_there.wait()

    in_threads(work, work)
    with cast.client() as client:
        found = client.cell("n", int).get()
        assert found == Versioned(10, found.version if found else 0)
        assert len(ran_on) == 2
        with client.cell("n", int).follow() as states:
            assert states.next(30.0) == found


def test_counters_numbers_events_latches_and_rates(cast: Cast) -> None:
    with cast.client() as client, cast.client() as other:
        assert [client.counter("c").add(2), other.counter("c").add(3)] == [2, 5]
        mine, yours = client.ids("i", block=2), other.ids("i", block=2)
        assert [mine.next(), yours.next(), mine.next(), mine.next()] == [1, 3, 2, 5]
        with pytest.raises(WaitTimeout):
            client.event("e").wait(0.01)
        in_threads(lambda: client.event("e").wait(DEADLINE_S), other.event("e").set)
        assert client.latch("l", 2).count_down() == 1
        waiting = threading.Thread(target=client.latch("l", 2).wait)
        waiting.start()
        assert other.latch("l", 2).count_down() == 0
        waiting.join(DEADLINE_S)
        assert not waiting.is_alive()
        limiter = client.rate_limiter("r", 1, 3600.0)
        assert [limiter.try_acquire(), limiter.try_acquire()] == [True, False]
        with pytest.raises(AcquireTimeout):
            limiter.acquire(timeout=0.1)


def test_a_configuration_is_followed_while_its_body_runs(cast: Cast) -> None:
    with cast.client() as client, client.config("app", str, default="none") as config:
        assert (config.value, config.version, config.error) == ("none", 0, None)
        with config.states() as states:
            assert states.next(30.0) == Versioned("none", 0)
            made = client.cell("app", str).set("some")
            assert states.next(30.0) == made
        assert config.value == "some"


def test_work_is_divided_among_threads(cast: Cast) -> None:
    items = [str(number) for number in range(10)]
    with cast.client("1") as client, cast.client("2") as other:
        mine, yours = client.group("workers"), other.group("workers")
        with mine.join(b"1") as member, mine.assign(member, items) as shares:
            share = next(shares)
            while share.keys() != set(items):
                share = shares.next(30.0)
            with yours.join(b"2") as newcomer, yours.assign(newcomer, items) as more:
                assert [each.id for each in mine.members()] == [member.id, newcomer.id]
                his = {item for item in items if owner_of(item, [member.id, newcomer.id]) == newcomer.id}
                while share.keys() != set(items) - his:
                    share = shares.next(30.0)

                def ask_for_more() -> None:
                    with pytest.raises(TimeoutError):
                        shares.next(1.0)

                asking = threading.Thread(target=ask_for_more)
                asking.start()
                theirs = more.next(30.0)
                while theirs.keys() != his:
                    theirs = more.next(30.0)
                for grant in theirs.values():
                    grant.check()
                asking.join(DEADLINE_S)
        with pytest.raises(MembershipLost), mine.join():
            cast.end_sessions()


def test_a_service_is_told_while_a_function_on_a_thread_says_that_it_is_well(cast: Cast) -> None:
    asked_on: set[int] = set()
    well = False

    def looks_well() -> bool:
        asked_on.add(threading.get_ident())
        return well

    with cast.client() as client, cast.client() as other:
        registering = client.registry().register("mail", "a:25", healthy=looks_well, every_s=0.1)
        with registering as registration, other.registry().follow("mail") as states:
            assert states.next(30.0) == []
            well = True
            # Where an answer takes longer than that, as on a loaded machine, it is not well for a moment.
            while not (told := states.next(30.0)):
                pass
            [instance] = told
            assert (instance.address, instance.token) == ("a:25", registration.token)
            registration.update(meta={"zone": "a"})
            while not told or told[0].meta != {"zone": "a"}:
                told = states.next(30.0)
            until(lambda: other.registry().pick("mail") == told[0])
        assert other.registry().resolve("mail") == []
        assert threading.get_ident() not in asked_on


def test_threads_go_on_in_and_out_together(cast: Cast) -> None:
    inside: list[int] = []
    done: list[int] = []

    def work() -> None:
        with cast.client() as client:
            generation = client.barrier("epoch", 3).wait(DEADLINE_S)
            with client.double_barrier("job", 3, timeout=DEADLINE_S):
                inside.append(generation)
                until(lambda: len(inside) == 3)
                assert not done
            done.append(generation)

    in_threads(work, work, work)
    assert inside == done == [1, 1, 1]
    with cast.client() as client:
        with pytest.raises(WaitTimeout):
            client.barrier("epoch", 3).wait(0.01)
        with pytest.raises(SessionExpired), client.double_barrier("alone", 1):
            cast.end_sessions()
