"""Clients that know a name, and learn from DNS where its servers are."""

from __future__ import annotations

import asyncio

import dns.rcode
import pytest

import agreed
import agreed.testing
from agreed.client.errors import ServersUnknown
from tests.backends.leash import Leash
from tests.client.name_server import name_server
from tests.node.running import DEADLINE_S


def at(address: str) -> list[str]:
    return [f"0 0 {address.rpartition(':')[2]} localhost."]


@pytest.mark.parametrize(
    ("scheme", "name"),
    [
        ("srv+agreed", "_agreed._tcp.example"),
        ("srv+zk", "_zookeeper._tcp.example"),
        ("srv+etcd", "_etcd-client._tcp.example"),
    ],
)
def test_a_lock_on_servers_that_dns_knows(scheme: str, name: str) -> None:
    serving = agreed.testing.etcd if scheme == "srv+etcd" else agreed.testing.zookeeper
    with serving(real_time=True) as there, name_server({name: at(there.address)}):
        with agreed.connect(f"{scheme}://example/app") as client, client.lock("orders/42") as held:
            held.check()
        with agreed.connect(f"{scheme}://{name}/app") as client:
            client.kv.put("config", b"7")

        async def story() -> None:
            async with await agreed.aio.connect(f"{scheme}://example./app") as client:
                entry = await client.kv.get("config")
                assert entry is not None
                assert entry.value == b"7"

        asyncio.run(story())


@pytest.mark.parametrize("scheme", ["srv+agreed", "srv+zk", "srv+etcd"])
def test_a_service_that_dns_does_not_know_is_told_at_once(scheme: str) -> None:
    with name_server({}), pytest.raises(ServersUnknown, match=r"_tcp\.example: DNS knows no such name"):
        agreed.connect(f"{scheme}://example/app", connect_timeout=DEADLINE_S)


@pytest.mark.parametrize(
    ("scheme", "name"), [("srv+zk", "_zookeeper._tcp.example"), ("srv+etcd", "_etcd-client._tcp.example")]
)
def test_a_cluster_moves_and_its_clients_follow(scheme: str, name: str) -> None:
    """Its old address is gone, and the name server is down for a while."""
    serving = agreed.testing.etcd if scheme == "srv+etcd" else agreed.testing.zookeeper

    async def story(address: str) -> None:
        async with Leash(address) as old, Leash(address) as new:
            names.says[name] = at(old.address)
            url = f"{scheme}://example/app"
            async with await agreed.aio.connect(url, request_timeout=DEADLINE_S) as client:
                await client.kv.put("config", b"7")
                names.says[name] = dns.rcode.SERVFAIL
                asked = len(names.asked)
                old.close()
                reading = asyncio.create_task(client.kv.get("config"))
                async with asyncio.timeout(DEADLINE_S):
                    while len(names.asked) == asked:
                        await asyncio.sleep(0.01)
                assert new.connections == 0
                names.says[name] = at(new.address)
                entry = await reading
                assert entry is not None
                assert entry.value == b"7"
                assert new.connections

    with serving(real_time=True) as there, name_server({}) as names:
        asyncio.run(story(there.address))
