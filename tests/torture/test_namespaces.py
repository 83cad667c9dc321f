"""A network of the kernel's: what passes, what is lost in one direction, and that nothing is left of it."""
from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agreed.torture.address import Address
from agreed.torture.namespaces import Namespaces, why_not
from agreed.torture.network import Rule
from agreed.torture.processes import NotServing, ServerProcess

SOON_S = 30.0
NOT_YET_S = 0.3

PORT = 12_345

ECHO = """
import pathlib, socket, sys
heard = open(sys.argv[2], "ab", buffering=0)
server = socket.create_server((sys.argv[1], int(sys.argv[3])))
print("up", flush=True)
while True:
    connection, _ = server.accept()
    while said := connection.recv(1000):
        heard.write(said)
        connection.sendall(said)
"""


@pytest.fixture
def network() -> Namespaces:
    return Namespaces(["n1", "n2"], ["c1", "c2"], random.Random(1))


def played(story: Awaitable[None]) -> None:
    async def play() -> None:
        async with asyncio.timeout(2 * SOON_S):
            await story

    asyncio.run(play())


@asynccontextmanager
async def opened(network: Namespaces) -> AsyncIterator[Namespaces]:
    try:
        await network.open()
    except NotServing as problem:
        pytest.skip(f"no network namespaces here: {problem}")
    try:
        yield network
    finally:
        await network.close()


@asynccontextmanager
async def echo(network: Namespaces, tmp_path: Path) -> AsyncIterator[Path]:
    """A server in n1 that says back what it is told; the file in which it writes down what it has heard."""
    heard = tmp_path / "heard"
    command = [sys.executable, "-c", ECHO, network.host("n1"), str(heard), str(PORT)]
    process = ServerProcess(network.inside("n1", command), output=tmp_path / "log")
    try:
        await until(lambda: process.last_words().endswith("up"))
        yield heard
    finally:
        process.kill()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not holds():
            await asyncio.sleep(0.02)


def address(network: Namespaces, place: str) -> Address:
    return Address(network.host("n1"), PORT, network.source(place))


async def called(at: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(at.host, at.port, local_addr=at.caller)


def spaces() -> set[str]:
    return {line.split()[0] for line in told_by("ip", "netns", "list").splitlines()}


def told_by(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


def test_what_is_cut_one_way_is_lost_and_the_other_way_is_heard(network: Namespaces, tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(network), echo(network, tmp_path) as heard:
            reader, writer = await called(address(network, "c1"))
            writer.write(b"a")
            assert await asyncio.wait_for(reader.readexactly(1), SOON_S) == b"a"
            rule = Rule(frozenset({("n1", "c1")}), cut=True)
            network.add(rule)
            await until(lambda: cut_rules(network) == 1)
            writer.write(b"b")
            await until(lambda: heard.read_bytes() == b"ab")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readexactly(1), NOT_YET_S)
            network.remove(rule)
            network.remove(rule)
            assert await asyncio.wait_for(reader.readexactly(1), SOON_S) == b"b"
            writer.close()

    played(story())


def cut_rules(network: Namespaces) -> int:
    space = f"torture-{network._token}-router"
    return told_by("ip", "-n", space, "rule").count("blackhole")


def test_two_rules_cut_until_both_are_gone_and_loss_leaves_none(network: Namespaces) -> None:
    async def story() -> None:
        async with opened(network):
            both = frozenset({("n1", "n2"), ("n2", "n1")})
            one, other = Rule(both, cut=True), Rule(frozenset({("n1", "n2")}), cut=True)
            losing = Rule(both, loss=0.2)
            network.add(one)
            network.add(other)
            await until(lambda: cut_rules(network) == 2)
            network.remove(one)
            await until(lambda: cut_rules(network) == 1)
            network.remove(other)
            network.add(losing)
            await until(lambda: cut_rules(network) == 1)
            network.remove(losing)
            await until(lambda: cut_rules(network) == 0)

    played(story())


def test_one_place_is_cut_off_and_another_is_not_and_nothing_is_left(
    network: Namespaces, tmp_path: Path
) -> None:
    async def story() -> None:
        async with opened(network), echo(network, tmp_path):
            assert len([each for each in spaces() if network._token in each]) == 3
            network.add(Rule(frozenset({("c2", "n1")}), cut=True))
            await until(lambda: cut_rules(network) == 1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(called(address(network, "c2")), NOT_YET_S)
            _, writer = await asyncio.wait_for(called(address(network, "c1")), SOON_S)
            writer.close()
        assert not [each for each in spaces() if network._token in each]

    played(story())


def test_who_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert why_not() == "only root can make network namespaces"
