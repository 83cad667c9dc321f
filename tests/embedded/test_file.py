"""file:///DIRECTORY: a durable node for the processes of one machine, served by one that is there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agreed.backends.contract import Absent, Backend, Put
from agreed.consensus.members import Member, Members, encode_members
from agreed.disk.files import RealFiles
from agreed.disk.identity import lock_directory, read_identity, write_identity
from agreed.embedded import file
from agreed.errors import ConfigurationError, CorruptData
from tests.embedded.waiting import DEADLINE_S

Holder = subprocess.Popen[str]


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Backend]:
    backend = await file.connect(
        f"file://{directory}", session_timeout_s=60.0, connect_timeout_s=60.0, request_timeout_s=60.0
    )
    try:
        yield backend
    finally:
        await backend.close()


@contextlib.contextmanager
def holding(directory: Path, key: str, *more: str) -> Iterator[tuple[Holder, int]]:
    """Another process that holds `key`; with the number of its fork, if it was to have one."""
    holder = subprocess.Popen(
        [sys.executable, "-m", "tests.embedded.holder", f"file://{directory}", key, *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    child = 0
    try:
        assert holder.stdout is not None
        said = holder.stdout.readline().split()
        assert said[:1] == ["holds"]
        child = int(said[1])
        yield holder, child
    finally:
        holder.kill()
        if child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        holder.wait(DEADLINE_S)
        for pipe in (holder.stdin, holder.stdout):
            assert pipe is not None
            pipe.close()


def test_what_is_acknowledged_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    async def story() -> None:
        directory = tmp_path / "made" / "for it"
        async with opened(directory) as backend:
            can = backend.capabilities
            assert (can.name, can.durable, can.shared) == ("file", True, True)
            assert await backend.commit([Absent("key")], [Put("key", b"value")]) is not None
        lock_directory(directory, RealFiles()).release()
        async with opened(directory) as backend, opened(directory / ".." / "for it") as other:
            assert (await backend.get("key")) == (await other.get("key"))
            session = await backend.open_session(0.05)
            assert session.ttl_s == 0.05

    asyncio.run(story())


def test_it_is_its_owners_alone_and_takes_little_space(tmp_path: Path) -> None:
    async def story() -> None:
        directory = tmp_path / "made"
        async with opened(directory):
            modes = {path.name: path.stat().st_mode & 0o077 for path in [directory, *directory.iterdir()]}
            assert "socket" in modes
            assert set(modes.values()) == {0}
            assert sum(path.stat().st_blocks * 512 for path in directory.iterdir()) < 8 << 20

    asyncio.run(story())


def test_processes_share_it_and_the_last_that_is_there_serves(tmp_path: Path) -> None:
    """By SIGKILL ends who serves; the session that another holds goes on, and so does the one that was
    killed, for its time: that is what its holder was promised."""

    async def story() -> None:
        with holding(tmp_path, "of the first") as (first, _):
            async with opened(tmp_path) as backend:
                assert await backend.get("of the first") is not None
                session = await backend.open_session(60.0)
                await backend.commit([], [Put("of the second", b"", session)])
                first.kill()
                entry = await backend.get("of the second")
                assert entry is not None
                assert entry.owner == session.id
                assert not session.ended
                assert await backend.get("of the first") is not None
                with holding(tmp_path, "of the third"):
                    assert await backend.get("of the third") is not None

    asyncio.run(story())


def test_who_closes_hands_over_to_those_who_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        with holding(tmp_path, "of the first") as (first, _):
            async with opened(tmp_path) as backend:
                await backend.commit([], [Put("key", b"value")])
                assert first.stdin is not None
                assert first.stdout is not None
                first.stdin.close()
                assert await asyncio.to_thread(first.stdout.readline) == "closed\n"
                assert await backend.get("of the first") is None
                assert await backend.commit([], [Put("key", b"again")]) is not None

    asyncio.run(story())


def test_a_fork_that_outlives_who_served_stands_in_nobodys_way(tmp_path: Path) -> None:
    """It had inherited the lock, the socket and the connections: nobody could serve any more."""

    async def story() -> None:
        with holding(tmp_path, "of the first", "fork") as (first, child):
            async with opened(tmp_path) as backend:
                assert await backend.get("of the first") is not None
                first.kill()
                first.wait(DEADLINE_S)
                os.kill(child, 0)
                assert await backend.commit([], [Put("key", b"value")]) is not None

    asyncio.run(story())


def test_a_directory_whose_name_is_longer_than_that_of_a_socket_may_be(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / ("long" * 40)) as backend:
            assert await backend.commit([], [Put("key", b"value")]) is not None

    asyncio.run(story())


def test_a_directory_that_cannot_be_served_says_why_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path):
            pass
        identity = read_identity(tmp_path, RealFiles())
        assert identity is not None
        others = Members((Member("n1", 1, "a:1"), Member("n2", 2, "b:2")))
        write_identity(
            tmp_path,
            RealFiles(),
            type(identity)(identity.identity, "n1", identity.life, identity.cluster, encode_members(others)),
        )
        with pytest.raises(ConfigurationError, match="member of a cluster"):
            async with opened(tmp_path):
                pass
        (tmp_path / "identity").write_bytes(b"not one of ours")
        with pytest.raises(CorruptData):
            async with opened(tmp_path):
                pass

    asyncio.run(story())


def test_two_backends_of_one_process_end_one_after_the_other(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as second:
            async with opened(tmp_path) as first:
                await first.commit([], [Put("key", b"value")])
            assert await second.get("key") is not None
        lock_directory(tmp_path, RealFiles()).release()

    asyncio.run(story())


def test_a_root_is_put_before_every_key(tmp_path: Path) -> None:
    async def story() -> None:
        below = await file.connect(f"file://{tmp_path}?root=jobs/nightly")
        await below.commit([], [Put("key", b"value")])
        async with opened(tmp_path) as whole:
            assert await whole.get("jobs/nightly/key") is not None
        await below.close()
        with pytest.raises(ConfigurationError, match="no path of the store"):
            await file.connect(f"file://{tmp_path}?root=jobs//nightly")

    asyncio.run(story())


@pytest.mark.parametrize("wrong", ["file:relative", "file://host/path", "file://", "file:///path?query"])
def test_what_is_no_such_url_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="file:///DIRECTORY"):
        asyncio.run(file.connect(wrong))
