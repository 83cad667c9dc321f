"""The synchronous face does what the asynchronous one does, on threads."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import agreed.coordination.client as asynchronous
from agreed.client.loop_thread import shared
from agreed.coordination.synchronous import Client
from agreed.recipes.errors import AcquireTimeout, LeadershipLost, LockLost
from tests.recipes.stage import Stage

ROOT = Path(__file__).parent.parent.parent


class Cast:
    """Clients of one stage."""

    def __init__(self) -> None:
        self.stage = Stage()

    def client(self, identity: str = "me") -> Client:
        return Client(asynchronous.Client(self.stage.client(), ttl=10.0, identity=identity))

    def end_sessions(self) -> None:
        """All of them are over."""

        async def there() -> None:
            for key in list(self.stage.entries):
                self.stage.delete(key)
            for session in self.stage.opened:
                session.end()

        shared().run(there())


@pytest.fixture
def cast() -> Cast:
    return Cast()


def test_the_files_are_what_the_recipes_say() -> None:
    tool = ROOT / "tools" / "write_synchronous.py"
    assert subprocess.run([sys.executable, str(tool), "--check"], cwd=ROOT).returncode == 0, f"run {tool}"


def test_one_thread_at_a_time_has_the_lock(cast: Cast) -> None:
    inside, most, tokens = 0, 0, []

    def work() -> None:
        nonlocal inside, most
        with cast.client() as client:
            for _ in range(5):
                with client.lock("a") as held:
                    inside += 1
                    most = max(most, inside)
                    held.check()
                    assert 0 < held.remaining() <= 10
                    tokens.append(held.token)
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 1
    assert len(tokens) == 20
    assert tokens == sorted(set(tokens))


def test_who_does_not_get_it_in_time_does_not_run(cast: Cast) -> None:
    with cast.client("one") as one, cast.client("two") as two, one.lock("a"):
        with pytest.raises(AcquireTimeout), two.lock("a", timeout=0.05):
            pytest.fail("it ran")
        with pytest.raises(AcquireTimeout), two.lock("a").hold(0.05):
            pytest.fail("it ran")
        assert two.lock("a").try_acquire() is None
        holder = two.lock("a").holder()
        assert holder is not None
        assert holder.value == b"one"


def test_a_body_that_lost_its_lock_is_told_at_its_end(cast: Cast) -> None:
    with cast.client() as client:
        with pytest.raises(LockLost), client.lock("a") as held:
            cast.end_sessions()
            with pytest.raises(LockLost):
                held.check()
        with pytest.raises(LockLost) as told, client.lock("a"):
            cast.end_sessions()
            raise ValueError("a fence refused it")
        assert isinstance(told.value.__cause__, ValueError)
        with pytest.raises(ValueError, match="mine"), client.lock("a"):
            raise ValueError("mine")
        with client.lock("a"):
            pass


def test_a_thread_takes_a_reentrant_lock_again_and_another_thread_does_not(cast: Cast) -> None:
    with cast.client() as client:
        lock = client.lock("a", reentrant=True)
        refused = []

        def another() -> None:
            refused.append(lock.try_acquire())

        with lock as outer, lock as inner:
            assert outer.token == inner.token
            thread = threading.Thread(target=another)
            thread.start()
            thread.join(30)
        assert refused == [None]
        assert client.lock("a").holder() is None


def test_an_election_is_followed_and_worked_in(cast: Cast) -> None:
    with cast.client("one") as one, cast.client("two") as two, two.election("e").follow() as leaders:
        assert leaders.next(30.0) is None
        with one.election("e").lead() as term:
            leader = leaders.next(30.0)
            assert leader is not None
            assert (leader.value, leader.token) == (b"one", term.token)
        assert leaders.next(30.0) is None
        terms = []

        def work(term: object) -> str:
            terms.append(term)
            if len(terms) == 1:
                cast.end_sessions()
            return "done"

        assert one.election("e").run(work) == "done"
        assert len(terms) == 2
        with pytest.raises(LeadershipLost):
            terms[0].check()  # type: ignore[attr-defined]


def test_permits_and_readers_are_there_as_well(cast: Cast) -> None:
    with cast.client() as client:
        with client.semaphore("s", 2), client.semaphore("s", 2):
            assert client.semaphore("s", 2).try_acquire() is None
        lock = client.read_write_lock("rw")
        with lock.read(), lock.read():
            assert lock.write().try_acquire() is None
