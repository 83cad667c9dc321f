"""memory://NAME: one store for all of a process, on whichever loop and thread it is asked."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import ssl
import threading
from multiprocessing.connection import Connection

import pytest

from agreed.backends.contract import Absent, Backend, Put
from agreed.client import loop_thread
from agreed.client.errors import Forked
from agreed.embedded import memory
from agreed.errors import AgreedError, ConfigurationError

_numbers = itertools.count(1)

DEADLINE_S = 30.0


@pytest.fixture
def url() -> str:
    return f"memory://own{next(_numbers)}"


async def put(url: str, key: str, value: bytes) -> None:
    backend = await memory.connect(url)
    assert await backend.commit([Absent(key)], [Put(key, value)]) is not None
    await backend.close()


async def got(url: str, key: str) -> bytes | None:
    backend = await memory.connect(url)
    entry = await backend.get(key)
    await backend.close()
    return None if entry is None else entry.value


def test_what_one_event_loop_has_left_the_next_one_finds(url: str) -> None:
    asyncio.run(put(url, "key", b"value"))
    assert asyncio.run(got(url, "key")) == b"value"
    assert asyncio.run(got(url + "other", "key")) is None


def test_synchronous_and_asynchronous_clients_share_it(url: str) -> None:
    loop_thread.shared().run(put(url, "key", b"value"))
    assert asyncio.run(got(url, "key")) == b"value"


def test_threads_with_loops_of_their_own_lose_nothing_to_each_other(url: str) -> None:
    async def make(mine: int) -> None:
        backend = await memory.connect(url)
        await asyncio.gather(*(backend.commit([], [Put(f"keys/{mine}-{n}", b"")]) for n in range(20)))
        await backend.close()

    async def names() -> list[str]:
        backend = await memory.connect(url)
        try:
            return await backend.names("keys")
        finally:
            await backend.close()

    threads = [threading.Thread(target=asyncio.run, args=(make(number),)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(asyncio.run(names())) == 100


def test_a_path_behind_the_name_is_put_before_every_key(url: str) -> None:
    asyncio.run(put(f"{url}/app/", "key", b"value"))
    assert asyncio.run(got(url, "app/key")) == b"value"


def test_it_says_what_it_is_good_for(url: str) -> None:
    async def look() -> None:
        backend: Backend = await memory.connect(url)
        can = backend.capabilities
        assert (can.name, can.durable, can.shared) == ("memory", False, False)
        session = await backend.open_session(0.05)
        assert session.ttl_s == 0.05
        await backend.close()

    asyncio.run(look())


@pytest.mark.parametrize(
    "wrong", ["memory:/name", "memory://name//app", "memory://name?x", "memory://name/a#b", "memory://a//"]
)
def test_what_is_no_such_url_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="memory://NAME"):
        asyncio.run(memory.connect(wrong))


def test_what_is_for_servers_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="password"):
        asyncio.run(memory.connect(url, password="secret"))
    with pytest.raises(ConfigurationError, match="ssl"):
        asyncio.run(memory.connect(url, ssl=ssl.create_default_context()))


async def attempt(url: str) -> str:
    try:
        return f"got {await got(url, 'key')!r}"
    except AgreedError as error:
        return f"{type(error).__name__}: {error}"


def in_a_fork(url: str, answers: Connection) -> None:
    answers.send([asyncio.run(attempt(url)), asyncio.run(attempt(f"{url}new"))])


def test_a_fork_is_told_that_it_shares_nothing(url: str) -> None:
    """Two processes would else both hold "the" lock."""
    asyncio.run(put(url, "key", b"value"))
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    child = fork.Process(target=in_a_fork, args=(url, theirs))
    child.start()
    try:
        assert ours.poll(DEADLINE_S)
        of_the_name, of_a_new_one = ours.recv()
    finally:
        child.join(DEADLINE_S)
    assert "ConfigurationError" in of_the_name
    assert "file://" in of_the_name
    assert of_a_new_one == "got None"
    assert asyncio.run(got(url, "key")) == b"value"


def test_a_backend_that_was_inherited_refuses_to_speak(url: str) -> None:
    async def story() -> None:
        backend = await memory.connect(url)
        fork = multiprocessing.get_context("fork")
        ours, theirs = fork.Pipe()
        child = fork.Process(target=ask_inherited, args=(backend, theirs))
        child.start()
        answer = await asyncio.to_thread(ours.poll, DEADLINE_S) and ours.recv()
        child.join(DEADLINE_S)
        assert answer == Forked.__name__
        await backend.close()

    asyncio.run(story())


def ask_inherited(backend: Backend, answers: Connection) -> None:
    async def ask() -> str:
        try:
            await backend.get("key")
        except AgreedError as error:
            return type(error).__name__
        return "an answer"

    # The loop of the parent counts as running in here: a new thread has none.
    def run() -> None:
        answers.send(asyncio.run(ask()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(DEADLINE_S)
