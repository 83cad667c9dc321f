"""What the knobs of the etcd API mean, and what is refused at the start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agreed.client.etcd_channel import EtcdChannel
from agreed.disk.inspect import describe
from agreed.errors import ConfigurationError
from agreed.node.config import Config
from agreed.node.etcd_knobs import client_urls, etcd_settings, retention
from agreed.node.listen import with_its_port
from agreed.node.loading import load
from agreed.node.start import EXIT_REFUSED, Server, recovered_by, serve
from agreed.node.telemetry import Log
from agreed.wire.etcd.messages import MemberListRequest


@pytest.mark.parametrize(
    ("flags", "urls"),
    [
        ({}, None),
        ({"etcd": "off"}, None),
        ({"etcd": "127.0.0.1:2379"}, ("http://127.0.0.1:2379",)),
        ({"etcd": "[::1]:2379"}, ("http://[::1]:2379",)),
        ({"etcd": "0.0.0.0:2379"}, ("http://localhost:2379",)),
        ({"etcd": "127.0.0.1:0"}, None),
        ({"etcd": "127.0.0.1:0", "etcd_advertise": "http://10.0.0.1:2379"}, ("http://10.0.0.1:2379",)),
        (
            {"etcd": "0.0.0.0:2379", "etcd_advertise": "http://10.0.0.1:2379,https://n1.example:2381"},
            ("http://10.0.0.1:2379", "https://n1.example:2381"),
        ),
    ],
)
def test_where_clients_are_told_to_go(flags: dict[str, str], urls: tuple[str, ...] | None) -> None:
    assert client_urls(load(flags, {})) == urls


@pytest.mark.parametrize("text", ["10.0.0.1:2379", "ftp://10.0.0.1:21", "http://nowhere"])
def test_what_is_no_url_is_said_at_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="etcd-advertise"):
        load({"etcd_advertise": text}, {})


@pytest.mark.parametrize(
    ("mode", "text", "kept"),
    [
        ("periodic", "0", 0),
        ("periodic", "8", 8 * 3_600_000),
        ("periodic", "90s", 90_000),
        ("periodic", "1h30m", 5_400_000),
        ("periodic", "250ms", 250),
        ("revision", "1000", 1000),
    ],
)
def test_how_much_history_is_kept(mode: str, text: str, kept: int) -> None:
    flags = {"etcd_auto_compaction_mode": mode, "etcd_auto_compaction_retention": text}
    assert retention(load(flags, {})) == kept


@pytest.mark.parametrize(
    ("mode", "text"), [("periodic", "a while"), ("periodic", "-1"), ("revision", "8h"), ("periodic", "")]
)
def test_a_span_that_is_none_is_said_at_the_start(mode: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match="etcd_auto_compaction_retention"):
        retention(load({"etcd_auto_compaction_mode": mode, "etcd_auto_compaction_retention": text}, {}))


def test_without_any_of_them_an_etcd_would_do_the_same() -> None:
    settings = etcd_settings(Config())
    assert settings["etcd_quota_bytes"] == 2 * 1024**3
    assert settings["etcd_auto_compaction_retention"] == 0
    assert (settings["etcd_bcrypt_cost"], settings["etcd_token_ttl_ms"]) == (10, 300_000)
    assert (settings["watch_progress_ms"], settings["watch_backlog_bytes"]) == (600_000, 1_048_576)
    assert settings["etcd_jwt"] is None


@pytest.mark.parametrize(
    "flags",
    [
        {"etcd_auto_compaction_retention": "a while"},
        {"etcd_auth_token": "jwt,sign-method=HS256,priv-key=/nowhere"},
        {"etcd_tls": "127.0.0.1:0", "tls_certificate": "/nowhere", "tls_key": "/nowhere"},
        {"jaas": "/nowhere"},
    ],
)
def test_a_node_that_cannot_do_what_it_is_told_founds_no_cluster(
    flags: dict[str, str], tmp_path: Path
) -> None:
    config = load({"name": "n1", "data": str(tmp_path), **flags}, {})
    assert serve(config) == EXIT_REFUSED
    identity = describe(tmp_path).identity
    assert identity is not None
    assert identity.cluster == 0


def test_who_asks_for_any_port_hears_which_it_is() -> None:
    async def listening(address: str) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        async with await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) as server:
            return with_its_port(address, server), server.sockets[0].getsockname()[1]

    told, port = asyncio.run(listening("127.0.0.1:0"))
    assert told == f"127.0.0.1:{port}"
    assert asyncio.run(listening("127.0.0.1:2379"))[0] == "127.0.0.1:2379"


def test_where_any_port_will_do_members_are_told_the_one_that_it_is(tmp_path: Path) -> None:
    """Clients that ask one node for all the others were told to connect to port 0."""
    anywhere = {"listen": "127.0.0.1:0", "etcd": "127.0.0.1:0", "zookeeper": "off"}
    config = load({"name": "n1", "data": str(tmp_path), **anywhere}, {})

    path = "/etcdserverpb.Cluster/MemberList"

    async def told() -> tuple[list[str], tuple[str, ...]]:
        server = Server(config, recovered, Log("node"), owns_process=False)
        running = asyncio.ensure_future(server.run())
        try:
            await server.serves.wait()
            async with EtcdChannel(server.of_etcd) as channel, asyncio.timeout(60):
                while True:
                    reply = await channel.call(path, MemberListRequest(), repeatable=True)
                    if urls := reply.members[0].clientURLs:
                        return server.of_etcd, urls
                    await asyncio.sleep(0.02)
        finally:
            server.request_stop()
            await running

    recovered = recovered_by(config)
    try:
        [address], urls = asyncio.run(told())
    finally:
        recovered.close()
    assert urls == (f"http://{address}",)
