"""The synchronous session: threads, callbacks, forks, and the same answers as the other."""
from __future__ import annotations

import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from agreed.client import Change, SessionState, SetData, WatchEvent, aio, connect, errors, sync
from tests.node.running import DEADLINE_S, running, wait_until


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("one"), size=1) as cluster:
        yield f"agreed://{cluster.hosts}"


def test_the_two_faces_have_the_same_methods() -> None:
    for name, method in vars(aio.Session).items():
        if not name.startswith("_"):
            other = vars(sync.Session)[name]
            if inspect.isfunction(method):
                assert list(inspect.signature(method).parameters) == list(inspect.signature(other).parameters)
    assert inspect.signature(aio.connect).parameters == inspect.signature(sync.connect).parameters


def test_nodes_from_many_threads(url: str) -> None:
    with connect(f"{url}/threads") as session:
        session.ensure_path("/")
        session.create("/n", b"0")

        def add() -> None:
            for _ in range(20):
                while True:
                    data, stat = session.get("/n")
                    try:
                        session.set("/n", str(int(data) + 1).encode(), stat.version)
                    except errors.BadVersion:
                        continue
                    break

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert session.get("/n", fresh=True).data == b"80"
        [stat] = session.multi([SetData("/n", b"x")])
        assert session.exists("/n") == stat
        session.delete("/n")
        assert session.children("/").names == ()
        assert session.get_many(["/n"]) == [None]


def test_a_callback_may_use_the_session_and_may_fail(url: str) -> None:
    with connect(f"{url}/callbacks") as session:
        session.ensure_path("/")
        session.create("/a", b"old")
        seen: list[object] = []

        def fail(event: WatchEvent) -> None:
            raise ValueError("a mistake of the program")

        session.get("/a", watch=fail)
        session.get("/a", watch=lambda event: seen.append((event.change, session.get("/a").data)))
        session.set("/a", b"new")
        wait_until(lambda: seen, "the callback was called")
        assert seen == [(Change.DATA, b"new")]


def test_events_are_iterated(url: str) -> None:
    with connect(f"{url}/events") as session:
        session.ensure_path("/")
        with session.watch("/a") as watch:
            session.create("/a", b"")
            session.delete("/a")
            assert watch.next(DEADLINE_S) == WatchEvent(Change.CREATED, "/a")
            assert watch.next(DEADLINE_S) == WatchEvent(Change.DELETED, "/a")
            with pytest.raises(TimeoutError):
                watch.next(0.05)
            watch.close()
            assert [event.change for event in watch] == [Change.ENDED]


def test_states_are_told(url: str) -> None:
    session = connect(url)
    states: list[SessionState] = []
    session.on_state(states.append)
    assert session.state is SessionState.CONNECTED
    assert 0 < session.remaining_s() < session.timeout_s
    session.close()
    wait_until(lambda: states == [SessionState.CLOSED], "the end was told")
    with pytest.raises(errors.SessionClosed):
        session.get("/")


def test_it_does_not_wait_for_itself(url: str) -> None:
    with connect(url) as session:

        async def wrong() -> None:
            session.get("/")

        with pytest.raises(RuntimeError, match="aio"):
            session.run(wrong())


def test_a_fork_does_not_speak_for_its_parent(url: str) -> None:
    with connect(url) as session:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # nothing here may raise, or pytest would go on twice
            try:
                try:
                    session.get("/")
                    said = b"it spoke"
                except errors.Forked:
                    with connect(url) as own:
                        said = b"its own" if own.id != session.id and own.exists("/") else b"not its own"
            except BaseException as error:
                said = repr(error).encode()
            os.write(writing, said)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            assert told.read() == b"its own"
        os.waitpid(child, 0)
        assert session.exists("/") is not None


def test_the_loop_has_ended_when_the_interpreter_ends() -> None:
    """The story: a daemon thread outlives the interpreter, an answer arrives, and the process ends with a
    segmentation fault.  What is registered first is called last, when the loop has to be gone."""
    program = (
        "import atexit, threading\n"
        "atexit.register(lambda: print(sorted(each.name for each in threading.enumerate())))\n"
        "from agreed.client import loop_thread\n"
        "loop_thread.shared()\n"
        "print(sorted(each.name for each in threading.enumerate()))\n"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.splitlines() == ["['MainThread', 'agreed-client']", "['MainThread']"]
