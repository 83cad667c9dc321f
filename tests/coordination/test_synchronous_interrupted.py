"""Threads that are interrupted, end, fork, or leave without a word: what they held is given back, and nobody
has what was another's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

import pytest

import agreed
import agreed.coordination.client as asynchronous
from agreed.client.errors import TimedOut
from agreed.coordination.synchronous import Client
from agreed.coordination.synchronous.transactions import Transaction
from agreed.recipes.certain import SLOTS
from agreed.recipes.errors import TransactionTimeout
from tests.backends.conftest import Service, agreed_node
from tests.recipes.stage import Stage

__all__ = ["agreed_node"]


class Cast:
    def __init__(self) -> None:
        self.stage = Stage()

    def client(self) -> Client:
        return Client(asynchronous.Client(self.stage.client(), ttl=10.0, identity="me"))

    def until_nothing_is_held(self) -> None:
        ends_at = time.monotonic() + 20
        while held := [
            key for key, entry in self.stage.entries.items() if entry.owner and not key.startswith(SLOTS)
        ]:
            assert time.monotonic() < ends_at, held
            time.sleep(0.005)


@pytest.fixture
def cast() -> Cast:
    return Cast()


class Interrupted:
    """`with Interrupted(3):` Ctrl-C comes while the third answer from now on is waited for.  `answered`: in
    the moment in which it is there; else before anything was begun."""

    def __init__(self, patch: pytest.MonkeyPatch, *, answered: bool) -> None:
        self._patch = patch
        self._answered = answered
        self._until = 0

    def at(self, number: int) -> None:
        self._until = number
        self._patch.setattr(asyncio, "run_coroutine_threadsafe", self._begin)

    def _begin(self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> Future[Any]:
        self._until -= 1
        if self._until:
            return _really(coroutine, loop)
        self._patch.setattr(asyncio, "run_coroutine_threadsafe", _really)
        future = _really(coroutine, loop)
        result = future.result

        def interrupted(timeout: float | None = None) -> Any:
            if self._answered:
                result(timeout)
            raise KeyboardInterrupt

        future.result = interrupted  # type: ignore[method-assign]
        return future


_really = asyncio.run_coroutine_threadsafe


def with_a_lock(client: Client) -> None:
    with client.lock("a"):
        pass


def with_several_locks(client: Client) -> None:
    with client.multilock(["a", "b"]):
        pass


def with_a_job(client: Client) -> None:
    queue = client.queue("q", str)
    queue.put("one")
    with queue.take():
        pass


def with_a_membership(client: Client) -> None:
    with client.group("g").join(b"me") as membership:
        membership.inform(b"you")


def with_leadership(client: Client) -> None:
    with client.election("e").lead() as term:
        term.proclaim(b"me")


def with_a_barrier(client: Client) -> None:
    with client.double_barrier("d", 1):
        pass


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "begun"])
@pytest.mark.parametrize(
    "story",
    [with_a_lock, with_several_locks, with_a_job, with_a_membership, with_leadership, with_a_barrier],
)
def test_who_is_interrupted_at_any_moment_of_waiting_leaves_nothing_behind(
    cast: Cast, story: Callable[[Client], None], answered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = cast.client()
    for number in range(1, 30):
        Interrupted(monkeypatch, answered=answered).at(number)
        try:
            story(client)
        except KeyboardInterrupt:
            cast.until_nothing_is_held()
        else:
            break
    else:
        raise AssertionError("it waits for something new each time")
    assert number > 3
    monkeypatch.undo()
    client.close()


def test_a_job_that_could_not_be_acknowledged_is_given_back(cast: Cast) -> None:
    with cast.client() as client, cast.client() as other:
        queue = client.queue("q", str)
        queue.put("a")
        job = queue.take()
        failing = iter([TimedOut("no answer", maybe=False)])
        acknowledge = job.asynchronous._acknowledge

        async def fails_once(*arguments: Any) -> bool:
            for error in failing:
                raise error
            return await acknowledge(*arguments)

        job.asynchronous._acknowledge = fails_once
        with pytest.raises(TimedOut), job:
            pass
        assert other.queue("q", str).take(20).value == "a"


def test_a_thread_has_not_what_one_before_it_held_though_it_may_be_called_alike(cast: Cast) -> None:
    """The number of a thread is given again as soon as it has ended."""
    with cast.client() as client:
        lock = client.lock("a", reentrant=True)
        numbers, got = [], []

        def take() -> None:
            numbers.append(threading.get_ident())
            got.append(lock.try_acquire())

        for _ in range(20):
            thread = threading.Thread(target=take)
            thread.start()
            thread.join(30)
        assert len(set(numbers)) < 20, "no number was given again: nothing was tried here"
        assert [grant is not None for grant in got] == [True] + 19 * [False]


def run(program: str, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_forked_process_holds_nothing() -> None:
    """Whether the parent has given it back meanwhile, it cannot know."""
    said = run(
        """
        import asyncio, os
        import agreed
        from agreed.errors import AgreedError

        async def main():
            async with await agreed.aio.connect("memory://fork") as client:
                async with client.lock("a") as held:
                    held.check()
                    if not (child := os.fork()):
                        try:
                            held.check()
                        except AgreedError as error:
                            print(held.remaining(), type(error).__name__, flush=True)
                        os._exit(0)
                    os.waitpid(child, 0)
                    held.check()

        asyncio.run(main())
        """
    )
    assert said == "0.0 Forked"


def test_a_program_that_ends_gives_back_what_it_holds(agreed_node: Service) -> None:
    """In order, that is; what one that is killed held outlives it, for as long as it said."""
    url = f"agreed://{agreed_node.address}/a-program-that-ends"
    with agreed.connect(url) as client:
        run(
            """
            import sys
            import agreed

            held = agreed.connect(sys.argv[1], ttl=40.0).lock("a").acquire()
            held.check()
            """,
            url,
        )
        assert client.lock("a").try_acquire() is not None


@pytest.mark.parametrize("silent", ["get", "commit"])
def test_the_time_of_a_transaction_is_over_also_where_nobody_answers(cast: Cast, silent: str) -> None:
    asked = False

    async def nobody(question: str) -> None:
        nonlocal asked
        if question == silent:
            asked = True
            await asyncio.Event().wait()

    def work(t: Transaction) -> None:
        t.put("b", t.get("a") or b"")

    client = cast.client()
    client.kv.put("a", b"")
    client.transact(work)
    cast.stage.before = nobody
    timeout = 0.05
    while not asked and timeout < 60:  # on a machine that is slow the time may be over before that
        timeout *= 2
        with pytest.raises(TransactionTimeout) as told:
            client.transact(work, timeout=timeout)
    assert told.value.surely_not_done == (silent == "get")
