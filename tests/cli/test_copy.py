"""`agreed copy` between running stores: a node of ours that speaks both protocols, and a real etcd.

One node is source and target, under different roots: what is copied does not depend on who serves it."""
from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from kazoo.client import KazooClient

from agreed.cli.copy import command
from agreed.cli.exits import NO_ANSWER, exit_code
from agreed.cli.playground import Playground
from agreed.client import etcd_channel
from agreed.client.etcd_channel import EtcdChannel
from agreed.client.url import Server
from agreed.errors import AgreedError
from agreed.wire.etcd import messages as m
from tests.acceptance.cluster import ZooKeeperEnsemble
from tests.acceptance.etcd.ensemble import EtcdEnsemble
from tests.node.running import client_of, wait_until

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with Playground(tmp_path_factory.mktemp("copied"), size=1, etcd=True) as cluster:
        cluster.start_all()
        cluster.wait_until_serving(DEADLINE_S)
        yield cluster


class Etcd:
    """Calls by etcd's protocol, one after the other."""

    def __init__(self, address: str) -> None:
        self._address = address

    def call(self, path: str, request: Any) -> Any:
        async def once() -> Any:
            host, _, port = self._address.rpartition(":")
            async with EtcdChannel([Server(host, int(port))]) as channel:
                return await channel.call(f"/etcdserverpb.{path}", request, timeout_s=DEADLINE_S)

        return asyncio.run(once())

    def put(self, key: str, value: str, lease: int = 0) -> None:
        self.call("KV/Put", m.PutRequest(key=key.encode(), value=value.encode(), lease=lease))

    def put_many(self, entries: dict[str, str]) -> None:
        keys = list(entries)
        for at in range(0, len(keys), 100):
            puts = [
                m.RequestOp(request_put=m.PutRequest(key=key.encode(), value=entries[key].encode()))
                for key in keys[at : at + 100]
            ]
            self.call("KV/Txn", m.TxnRequest(success=tuple(puts)))

    def delete(self, key: str) -> None:
        self.call("KV/DeleteRange", m.DeleteRangeRequest(key=key.encode()))

    def grant(self, ttl: int) -> int:
        return int(self.call("Lease/LeaseGrant", m.LeaseGrantRequest(TTL=ttl)).ID)

    def found(self, prefix: str = "") -> dict[str, m.KeyValue]:
        key = prefix.encode() or b"\0"
        end = key[:-1] + bytes([key[-1] + 1]) if prefix else b"\0"
        reply = self.call("KV/Range", m.RangeRequest(key=key, range_end=end))
        return {each.key.decode()[len(prefix) :]: each for each in reply.kvs}

    def entries(self, prefix: str = "") -> dict[str, str]:
        return {name: each.value.decode() for name, each in self.found(prefix).items()}


@pytest.fixture
def etcd(node: Playground) -> Etcd:
    return Etcd(node.etcd_endpoints)


def copied(*arguments: str, ends_with: int = 0) -> str:
    """In this process: an interpreter takes longer to start than these copies take."""
    ended = CliRunner().invoke(command, arguments)
    code = exit_code(ended.exception) if isinstance(ended.exception, AgreedError) else ended.exit_code
    assert code == ends_with, ended.output
    return f"{ended.output}\n{ended.exception or ''}"


class Following:
    """`agreed copy --follow`, from when everything is copied."""

    def __init__(self, *arguments: str) -> None:
        words = [sys.executable, "-m", "agreed", "copy", *arguments, "--follow"]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: re.search("changes follow|goes on behind", "".join(self.said)), "it follows")

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.said.extend(iter(self._process.stdout.readline, ""))

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code


# --- from etcd to etcd --------------------------------------------------------------------------------------


def test_keys_are_copied_once_and_run_again_nothing_is_written(node: Playground, etcd: Etcd) -> None:
    source, target = f"etcd://{node.etcd_endpoints}/from", f"etcd://{node.etcd_endpoints}/to"
    etcd.put_many({f"/from/{number:04}": "x" * (number % 50) for number in range(1200)})
    assert "1200 copied" in copied(source, target)
    assert etcd.entries("/to") == etcd.entries("/from")
    assert "0 copied, 0 deleted, 1200 unchanged" in copied(source, target)


def test_large_values_behind_many_small_ones_are_asked_for_in_smaller_pages(
    node: Playground, etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages have grown by then to a thousand keys, which may be more than an answer can hold."""
    small = {f"/behind/a{number:02}": "" for number in range(40)}
    large = {f"/behind/b{number}": "x" * 300_000 for number in range(6)}
    etcd.put_many(small)
    for key, value in large.items():
        etcd.put(key, value)
    limits = msgspec.structs.replace(etcd_channel.LIMITS, max_message_bytes=1_000_000)
    monkeypatch.setattr(etcd_channel, "LIMITS", limits)
    place = f"etcd://{node.etcd_endpoints}"
    assert "46 copied" in copied(f"{place}/behind", f"{place}/copied-behind")


def test_only_a_prefix_and_nothing_of_others(node: Playground, etcd: Etcd) -> None:
    etcd.put_many({"/p/a/1": "", "/p/a/2": "", "/p/b": "", "/pq": "", "/q/a/mine": "kept"})
    source, target = f"etcd://{node.etcd_endpoints}/p", f"etcd://{node.etcd_endpoints}/q"
    copied(source, target, "--prefix", "/a/")
    assert set(etcd.entries("/q")) == {"/a/1", "/a/2", "/a/mine"}
    assert "1 deleted" in copied(source, target, "--prefix", "/a/", "--delete")
    assert set(etcd.entries("/q")) == {"/a/1", "/a/2"}


def test_what_was_changed_at_the_target_stays_and_is_counted(node: Playground, etcd: Etcd) -> None:
    source, target = f"etcd://{node.etcd_endpoints}/c", f"etcd://{node.etcd_endpoints}/d"
    etcd.put_many({"/c/x": "ours", "/c/y": "ours", "/d/x": "theirs"})
    told = copied(source, target, ends_with=1)
    assert "conflict: /x" in told
    assert "1 copied, 0 deleted, 0 unchanged, 1 conflicts" in told
    assert etcd.entries("/d") == {"/x": "theirs", "/y": "ours"}
    copied(source, target, "--overwrite")
    assert etcd.entries("/d")["/x"] == "ours"


def test_a_key_on_a_lease_has_the_time_that_was_left(node: Playground, etcd: Etcd) -> None:
    lease = etcd.grant(1000)
    for name in ("one", "two"):
        etcd.put(f"/l/{name}", name, lease)
    copied(f"etcd://{node.etcd_endpoints}/l", f"etcd://{node.etcd_endpoints}/m")
    [one, two] = etcd.found("/m").values()
    assert one.lease == two.lease != lease
    left = etcd.call("Lease/LeaseTimeToLive", m.LeaseTimeToLiveRequest(ID=one.lease))
    assert 0 < left.grantedTTL <= 1000


def test_every_change_follows_and_a_state_goes_on_where_it_was(
    node: Playground, etcd: Etcd, tmp_path: Path
) -> None:
    places = f"etcd://{node.etcd_endpoints}/f", f"etcd://{node.etcd_endpoints}/g"
    state = str(tmp_path / "state")
    etcd.put_many({"/f/stays": "1", "/f/goes": "1"})
    with Following(*places, "--state", state) as copy:
        etcd.put("/f/stays", "2")
        etcd.put("/f/new", "1")
        etcd.delete("/f/goes")
        wait_until(lambda: etcd.entries("/g") == {"/stays": "2", "/new": "1"}, "the changes are there")
        etcd.put("/g/new", "theirs")
        etcd.put("/f/new", "2")
        wait_until(lambda: "conflict: /new" in "".join(copy.said), "the conflict is told")
        assert copy.stop() == 1
    etcd.delete("/f/stays")
    etcd.put("/f/later", "1")
    with Following(*places, "--state", state) as copy:
        wait_until(lambda: etcd.entries("/g") == {"/new": "theirs", "/later": "1"}, "it is caught up")
        assert copy.stop() == 0
    etcd.call("KV/Compact", m.CompactionRequest(revision=_now(etcd)))
    etcd.put("/f/last", "1")
    etcd.call("KV/Compact", m.CompactionRequest(revision=_now(etcd)))
    assert "compacted" in copied(*places, "--follow", "--state", state, ends_with=3)


def _now(etcd: Etcd) -> int:
    return int(etcd.call("KV/Range", m.RangeRequest(key=b"x")).header.revision)


def test_a_state_that_cannot_be_kept_is_told_and_one_of_another_name_is_not_touched(
    node: Playground, etcd: Etcd, tmp_path: Path
) -> None:
    etcd.put("/stated/a", "1")
    place = f"etcd://{node.etcd_endpoints}"
    copy = (f"{place}/stated", f"{place}/copied-stated", "--follow", "--state")
    said = copied(*copy, str(tmp_path / "absent" / "state"), ends_with=NO_ANSWER)
    assert "cannot be written" in said
    other = tmp_path / "app.new"
    other.write_text("of another copy")
    with Following(*copy, str(tmp_path / "app.1")) as following:
        following.stop()
    assert (tmp_path / "app.1").exists()
    assert other.read_text() == "of another copy"


TTL_S = 6
"""More than the seconds for which a loaded machine may stand still while it is renewed."""


def test_while_it_follows_a_lease_lives_as_long_as_the_original(node: Playground, etcd: Etcd) -> None:
    with Following(f"etcd://{node.etcd_endpoints}/e", f"etcd://{node.etcd_endpoints}/h") as copy:
        lease = etcd.grant(TTL_S)
        etcd.put("/e/held", "x", lease)
        wait_until(lambda: "/held" in etcd.entries("/h"), "it is there")
        until = time.monotonic() + 1.3 * TTL_S
        while time.monotonic() < until:
            etcd.put("/e/held", "x", lease)
            asyncio.run(_renewed(node.etcd_endpoints, lease))
            assert "/held" in etcd.entries("/h")
            time.sleep(0.3)
        wait_until(lambda: not etcd.entries("/h"), "it goes with the original")
        assert copy.stop() == 0


async def _renewed(address: str, lease: int) -> None:
    async with EtcdChannel([address]) as channel:
        stream = await channel.stream("/etcdserverpb.Lease/LeaseKeepAlive")
        stream.send(m.LeaseKeepAliveRequest(ID=lease))
        await stream.receive()
        stream.close()


# --- between etcd and ZooKeeper -----------------------------------------------------------------------------


@pytest.fixture
def zookeeper(node: Playground) -> Iterator[KazooClient]:
    with client_of(node.hosts) as client:
        yield client


def test_keys_become_nodes_and_nodes_become_keys(
    node: Playground, etcd: Etcd, zookeeper: KazooClient
) -> None:
    etcd.put_many({"/n/a/b": "1", "/n/c": "2", "/n/a": "3", "/n/double//slash": "", "/n/end/": ""})
    etcd.put("/n/leased", "x", etcd.grant(1000))
    told = copied(f"etcd://{node.etcd_endpoints}/n", f"zookeeper://{node.hosts}/n", ends_with=1)
    assert "3 copied" in told
    assert "3 refused" in told
    assert zookeeper.get("/n/a/b")[0] == b"1"
    assert zookeeper.get("/n/a")[0] == b"3"
    zookeeper.create("/n/ephemeral", b"", ephemeral=True)
    told = copied(f"zookeeper://{node.hosts}/n", f"etcd://{node.etcd_endpoints}/back")
    assert "3 copied, 0 deleted, 0 unchanged, 0 conflicts, 0 refused, 1 ephemeral" in told
    assert etcd.entries("/back") == {"/a": "3", "/a/b": "1", "/c": "2"}


def test_changes_of_nodes_follow(node: Playground, etcd: Etcd, zookeeper: KazooClient) -> None:
    zookeeper.create("/live/a/b", b"1", makepath=True)
    with Following(f"zookeeper://{node.hosts}/live", f"etcd://{node.etcd_endpoints}/live") as copy:
        assert etcd.entries("/live") == {"/a": "", "/a/b": "1"}
        zookeeper.set("/live/a/b", b"2")
        zookeeper.create("/live/c", b"3")
        wait_until(lambda: etcd.entries("/live") == {"/a": "", "/a/b": "2", "/c": "3"}, "they are there")
        zookeeper.delete("/live/a", recursive=True)
        wait_until(lambda: etcd.entries("/live") == {"/c": "3"}, "they are gone")
        assert copy.stop() == 0


def test_changes_of_keys_follow_into_nodes(node: Playground, etcd: Etcd, zookeeper: KazooClient) -> None:
    etcd.put("/k/a", "1")
    with Following(f"etcd://{node.etcd_endpoints}/k", f"zookeeper://{node.hosts}/k") as copy:
        etcd.put("/k/a/b", "2")
        wait_until(lambda: zookeeper.exists("/k/a/b"), "the child is there")
        etcd.delete("/k/a")
        wait_until(lambda: zookeeper.get("/k/a")[0] == b"", "a parent stays, empty")
        etcd.put("/k/a", "3")
        wait_until(lambda: zookeeper.get("/k/a")[0] == b"3", "and is filled again")
        etcd.delete("/k/a/b")
        wait_until(lambda: not zookeeper.exists("/k/a/b"), "the child is gone")
        assert copy.stop() == 0


def test_a_tree_into_another_tree(node: Playground, zookeeper: KazooClient) -> None:
    zookeeper.create("/old/x/y", b"1", makepath=True)
    places = f"zookeeper://{node.hosts}/old", f"zookeeper://{node.hosts}/new"
    assert "2 copied" in copied(*places)
    zookeeper.create("/new/x/z", b"")
    assert "1 deleted" in copied(*places, "--delete")
    assert zookeeper.get_children("/new/x") == ["y"]


# --- what is told -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["etcd://127.0.0.1/a", "etcd://127.0.0.1/a"], "to itself"),
        (["etcd://127.0.0.1/a", "etcd://127.0.0.1/b", "--prefix", "x"], "slash"),
        (["etcd://127.0.0.1/a", "etcd://127.0.0.1/b", "--state", "file"], "--follow"),
        (["zookeeper://127.0.0.1", "etcd://127.0.0.1/b", "--state", "file", "--follow"], "revisions"),
    ],
)
def test_what_contradicts_itself_is_told(arguments: list[str], problem: str) -> None:
    assert problem in copied(*arguments, ends_with=2)


# --- a real etcd --------------------------------------------------------------------------------------------


@pytest.mark.peer("etcd")
def test_from_a_real_etcd_and_back(node: Playground, etcd: Etcd) -> None:
    with EtcdEnsemble() as ensemble:
        ensemble.wait_until_serving()
        [address] = ensemble.etcd_addresses
        real = Etcd(address)
        real.put_many({f"key {number}": str(number) for number in range(300)})
        real.put("leased", "x", real.grant(1000))
        with Following(f"etcd://{address}", f"etcd://{node.etcd_endpoints}", "--prefix", "key ") as copy:
            real.put("key 7", "changed")
            real.delete("key 8")
            expected = real.entries("key ")
            wait_until(lambda: etcd.entries("key ") == expected, "all of it is there")
            assert copy.stop() == 0
        copied(f"etcd://{node.etcd_endpoints}", f"etcd://{address}/back", "--prefix", "key ", ends_with=1)
        copied(f"etcd://{node.etcd_endpoints}/from", f"etcd://{address}/back")
        assert real.entries("/back") == etcd.entries("/from")


@pytest.mark.peer("zookeeper")
def test_from_a_real_zookeeper_and_back(node: Playground, etcd: Etcd) -> None:
    with ZooKeeperEnsemble() as ensemble, client_of(ensemble.hosts) as real:
        real.create("/app/a/b", b"1", makepath=True)
        real.create("/app/gone", b"3", ephemeral=True)
        places = f"zookeeper://{ensemble.hosts}/app", f"etcd://{node.etcd_endpoints}/real"
        with Following(*places) as copy:
            real.set("/app/a/b", b"4")
            real.create("/app/c", b"5")
            real.delete("/app/gone")
            wait_until(lambda: etcd.entries("/real") == {"/a": "", "/a/b": "4", "/c": "5"}, "it is there")
            assert copy.stop() == 0
        copied(places[1], f"zookeeper://{ensemble.hosts}/again")
        assert real.get("/again/a/b")[0] == b"4"
