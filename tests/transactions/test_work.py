"""Work that is written once: the same order, results and errors, with blocking calls and awaited ones."""
from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from agreed.transactions.work import Later, Together, Work, run, run_async


class Calls:
    """Makes calls of either kind, and writes them down."""

    def __init__(self, awaited: bool) -> None:
        self.made: list[str] = []
        self.awaited = awaited

    def __call__(self, name: str, failure: BaseException | None = None) -> Any:
        def call() -> str:
            self.made.append(name)
            if failure is not None:
                raise failure
            return name.upper()

        async def awaited() -> str:
            return call()

        return awaited if self.awaited else call

    def run(self, work: Work[Any]) -> Any:
        return asyncio.run(run_async(work)) if self.awaited else run(work)


@pytest.fixture(params=[False, True], ids=["blocking", "awaited"])
def calls(request: pytest.FixtureRequest) -> Calls:
    return Calls(request.param)


def test_results_come_back_and_errors_are_raised_where_the_call_stands(calls: Calls) -> None:
    def work() -> Work[str]:
        first = yield calls("a")
        with pytest.raises(OSError, match="gone"):
            yield calls("b", OSError("gone"))
        return first + (yield calls("c"))

    assert calls.run(work()) == "AC"
    assert calls.made == ["a", "b", "c"]


def test_what_is_not_caught_comes_out(calls: Calls) -> None:
    def work() -> Work[None]:
        yield calls("a", KeyboardInterrupt())
        yield calls("b")

    with pytest.raises(KeyboardInterrupt):
        calls.run(work())
    assert calls.made == ["a"]


def test_pieces_that_go_together_all_end_and_their_errors_are_values(calls: Calls) -> None:
    failure = OSError("gone")

    def piece(name: str, failing: bool) -> Work[str]:
        return (yield calls(name, failure if failing else None))

    def work() -> Work[list[Any]]:
        pieces = yield Together([piece("a", False), piece("b", True), piece("c", False)])
        nothing = yield Together([])
        return [*pieces, *nothing]

    assert calls.run(work()) == ["A", failure, "C"]
    assert sorted(calls.made) == ["a", "b", "c"]


def test_pieces_that_go_together_do_not_wait_for_each_other() -> None:
    both = threading.Barrier(2)

    def piece() -> Work[int]:
        return (yield lambda: both.wait(30))

    def work() -> Work[list[Any]]:
        return (yield Together([piece(), piece()]))

    assert sorted(run(work())) == [0, 1]


def test_who_is_interrupted_waits_until_the_others_have_ended() -> None:
    ended = threading.Event()
    begun = threading.Event()

    def other() -> Work[None]:
        def slow() -> None:
            begun.set()
            ended.wait(0.2)
            ended.set()

        yield slow

    def interrupted() -> Work[None]:
        def call() -> None:
            begun.wait(30)
            raise KeyboardInterrupt

        yield call

    def work() -> Work[None]:
        yield Together([interrupted(), other()])

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert ended.is_set()


def test_nobody_waits_for_later_or_hears_of_its_errors() -> None:
    go, done = threading.Event(), threading.Event()

    def tidy() -> Work[None]:
        yield lambda: go.wait(30)
        done.set()
        yield lambda: 1 / 0

    def work() -> Work[str]:
        yield Later(tidy())
        return "before"

    assert run(work()) == "before"
    assert not done.is_set()
    go.set()
    assert done.wait(30)


def test_later_on_an_event_loop() -> None:
    calls = Calls(True)

    def tidy() -> Work[None]:
        yield calls("later")

    def work() -> Work[None]:
        yield Later(tidy())
        yield calls("before")

    async def both() -> None:
        await run_async(work())
        while "later" not in calls.made:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(both(), 30))
    assert sorted(calls.made) == ["before", "later"]


def test_who_is_cancelled_may_still_tidy_up() -> None:
    calls = Calls(True)

    async def story() -> None:
        started = asyncio.Event()

        async def slow() -> None:
            started.set()
            await asyncio.Event().wait()

        def work() -> Work[None]:
            try:
                yield slow
            except asyncio.CancelledError:
                yield calls("tidied")
                raise

        task = asyncio.create_task(run_async(work()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(story(), 30))
    assert calls.made == ["tidied"]
