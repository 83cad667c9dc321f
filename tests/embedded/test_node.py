"""A member of a cluster in this process, as an object and as a URL."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import agreed
from agreed.backends.contract import Backend, Put
from agreed.client.errors import SessionExpired, TimedOut
from agreed.disk.files import RealFiles
from agreed.disk.identity import DirectoryInUse, lock_directory
from agreed.embedded import node as nodes
from agreed.errors import ConfigurationError, CorruptData
from agreed.recipes.errors import LockLost
from agreed.torture.processes import free_ports
from tests.embedded.waiting import DEADLINE_S, until


def is_free(directory: Path) -> bool:
    try:
        lock_directory(directory, RealFiles()).release()
    except DirectoryInUse:
        return False
    return True


def address() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


def test_a_member_in_five_lines(tmp_path: Path) -> None:
    with agreed.Node("n1", data=tmp_path, listen=address()) as node:
        with agreed.connect(node.url) as client, client.lock("name", timeout=DEADLINE_S) as held:
            assert held.token > 0
        assert node.runs
        assert not is_free(tmp_path)
    assert not node.runs
    assert node.failure is None
    assert is_free(tmp_path)
    with pytest.raises(ConfigurationError, match="does not listen"):
        _ = node.etcd_address


def test_it_leaves_the_process_alone(tmp_path: Path) -> None:
    """What `agreed serve` does to its process is not done to one of others."""
    program = f"""
        import gc, resource, signal, agreed

        def settings():
            handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
            return gc.get_threshold(), resource.getrlimit(resource.RLIMIT_NOFILE), handlers

        resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        before = settings()
        with agreed.Node(data={str(tmp_path)!r}, listen={address()!r}):
            assert settings() == before
            assert gc.get_freeze_count() == 0
        agreed.Node(data={str(tmp_path)!r}, listen={address()!r}).start()
        print("ends with the program")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "ends with the program\n"), done.stderr
    assert is_free(tmp_path)


def obtained(client: agreed.Client) -> bool:
    try:
        return client.lock("name").try_acquire() is not None
    except (LockLost, SessionExpired):
        return False


def test_knobs_are_those_of_serve(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean heartbeat_ms"):
        agreed.Node(data=tmp_path, heartbeat=5)
    with agreed.Node(data=tmp_path, listen=address(), etcd="127.0.0.1:0", min_session_timeout_ms=10) as node:
        assert node.etcd_address.startswith("127.0.0.1:")
        with agreed.connect(node.url, ttl=0.5) as client:
            while not obtained(client):  # so short a time may be over on a machine that stands still
                pass


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    with agreed.Node(data=tmp_path, listen=address()), pytest.raises(DirectoryInUse):
        agreed.Node(data=tmp_path, listen=address()).start()
    (tmp_path / "identity").write_bytes(b"not one of ours")
    with pytest.raises(CorruptData):
        agreed.Node(data=tmp_path, listen=address()).start()


def test_a_founder_waits_for_the_others_and_not_for_ever(tmp_path: Path) -> None:
    peers = {"n1": address(), "n2": address()}
    node = agreed.Node("n1", data=tmp_path, peers=peers)
    with pytest.raises(TimeoutError, match="n2"):
        node.start(timeout=0.2)
    assert not node.runs
    assert is_free(tmp_path)


def test_a_mistake_of_ours_silences_the_node_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        with agreed.Node(data=tmp_path, listen=address()) as node:
            assert node._server is not None
            shell = node._server.shell
            assert shell is not None

            def fail(event: object) -> None:
                raise RuntimeError("of our own making")

            monkeypatch.setattr(shell.replica, "step", fail)
            await until(lambda: not node.runs)
            assert node.failure is not None
            assert "70" in node.failure
            assert is_free(tmp_path)

    asyncio.run(story())


# --- as a URL ----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Backend]:
    backend = await nodes.connect(url, connect_timeout_s=DEADLINE_S, request_timeout_s=DEADLINE_S)
    try:
        yield backend
    finally:
        await backend.close()


def test_a_cluster_of_three_in_one_process(tmp_path: Path) -> None:
    names = ("n1", "n2", "n3")
    peers = ",".join(f"{name}={address()}" for name in names)
    urls = {name: f"node://{name}{tmp_path}/{name}?peers={peers}" for name in names}

    async def story() -> None:
        async with contextlib.AsyncExitStack() as stack:
            first, second, third = await asyncio.gather(
                *(stack.enter_async_context(opened(urls[name])) for name in names)
            )
            assert (first.capabilities.name, first.capabilities.shared) == ("node", True)
            assert await first.commit([], [Put("key", b"value")]) is not None
            for backend in (second, third):
                entry = await backend.get("key")
                assert entry is not None
                assert entry.value == b"value"
        assert all(is_free(tmp_path / name) for name in names)

    asyncio.run(story())


def test_all_who_name_the_directory_share_the_node_and_the_last_ends_it(tmp_path: Path) -> None:
    url = f"node://n1{tmp_path}?listen={address()}"

    async def story() -> None:
        async with opened(url) as first:
            async with opened(url) as second:
                await second.commit([], [Put("key", b"value")])
            assert await first.get("key") is not None
            async with opened(f"{url}&root=jobs") as below:
                await below.commit([], [Put("key", b"value")])
                assert await first.get("jobs/key") is not None
            with pytest.raises(ConfigurationError, match="other settings"):
                async with opened(f"{url}&heartbeat_ms=50"):
                    pass
        assert is_free(tmp_path)
        async with opened(url) as again:
            assert await again.get("key") is not None

    asyncio.run(story())


def test_who_waits_for_the_others_in_vain_is_told_so(tmp_path: Path) -> None:
    peers = f"n1={address()},n2={address()}"

    async def story() -> None:
        with pytest.raises(TimedOut, match="n2") as told:
            await nodes.connect(f"node://n1{tmp_path}?peers={peers}", connect_timeout_s=0.2)
        assert told.value.surely_not_done

    asyncio.run(story())


WRONG = {
    "node:n1/data": "node://NAME",
    "node:///data": "node://NAME",
    "node://n1": "node://NAME",
    "node://n1/data#x": "node://NAME",
    "node://n1/data?root=a//b": "no path",
    "node://n1/data?name=n2": "before the question mark",
    "node://n1/data?heartbeat=5": "heartbeat_ms",
}


@pytest.mark.parametrize("wrong", list(WRONG))
def test_what_is_no_such_url_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=WRONG[wrong]):
        nodes.node_of(wrong)
