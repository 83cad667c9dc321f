"""A snapshot of ours is opened by etcd's own tools and by an etcd; one of an etcd begins a cluster of ours.

Needs no running node of ours: the file is made of a store, as `Maintenance.Snapshot` makes it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agreed.node.backups import Backup
from agreed.replica.etcd.backup import buckets_of
from agreed.store.commands import (
    AddRole,
    AddUser,
    Batch,
    Command,
    Compact,
    Create,
    DeleteRange,
    GrantLease,
    GrantPermission,
    GrantRole,
    Put,
)
from agreed.store.machine import Store
from agreed.torture.processes import LOOPBACK, free_ports
from agreed.wire.etcd.bbolt import Writing
from tests.acceptance.etcd.ensemble import NO_ETCD, Programs, debian, packaged

pytestmark = pytest.mark.peer("etcd")


@pytest.fixture
def real() -> Programs:
    found = packaged()
    if found is None:
        pytest.skip(NO_ETCD)
    return found


def store() -> Store:
    """Some of everything: versions, a tombstone, a large value, a lease, users, and a znode."""
    made = Store()
    made.begin(1_000)
    commands: list[Command] = [
        GrantLease(7, 600_000, b"", None),
        Put(b"a", b"1"),
        Put(b"a", b"2"),
        Put(b"gone", b"x"),
        DeleteRange(b"gone", None),
        Compact(3),
        Put(b"large", bytes(100_000)),
        Put(b"leased", b"v", 7),
        *(Put(b"many/%04d" % number, b"v" * 50) for number in range(3_000)),
        AddUser("root", b"$2a$10$N1CPfkuEiCopV8d00zP1yuhgoyOPrt2b3kYv3UWVrVhdXugK7yWoa"),
        AddRole("r"),
        GrantPermission("r", 2, b"p/", b"p0"),
        GrantRole("root", "r"),
        GrantLease(9, 10_000, bytes(16), ()),
        Create(9, b"/app", b"data", None, 0),
    ]
    made.admit(Batch("n1", 1, 1, commands))
    for command in commands:
        made.execute(command, "n1")
        made.fresh.clear()
    return made


def saved(path: Path) -> Path:
    data = b"".join(Writing(buckets_of(store(), [], 2, 9)).pieces())
    path.write_bytes(data + hashlib.sha256(data).digest())
    return path


@contextmanager
def running(real: Programs, directory: Path, output: Path) -> Iterator[str]:
    """An etcd on this data directory; its address."""
    client, peer = free_ports(2)
    urls = f"http://{LOOPBACK}:{client}", f"http://{LOOPBACK}:{peer}"
    command = [
        real.etcd, "--name", "m1", "--data-dir", str(directory), "--initial-cluster", f"m1={urls[1]}",
        "--listen-client-urls", urls[0], "--advertise-client-urls", urls[0],
        "--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1],
    ]  # fmt: skip
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"{LOOPBACK}:{client}"
    finally:
        process.kill()
        process.wait(20)


def asked(real: Programs, address: str, *arguments: str) -> str:
    """Again and again until it answers."""
    assert real.etcdctl is not None
    deadline = time.monotonic() + 40
    while True:
        said = subprocess.run(
            [real.etcdctl, "--endpoints", address, *arguments],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        if said.returncode == 0:
            return said.stdout
        assert time.monotonic() < deadline, said.stderr
        time.sleep(0.1)


@pytest.mark.parametrize("tool", ["etcdutl 3.5", "etcdctl 3.4"])
def test_etcds_tools_check_the_file_and_tell_what_it_holds(real: Programs, tmp_path: Path, tool: str) -> None:
    """`snapshot status` walks every page: each reached once, none lost."""
    old = debian()
    if tool == "etcdctl 3.4" and (old is None or old.etcdctl is None):
        pytest.skip("no etcdctl of Debian (package `etcd-client`)")
    program = real.etcdutl if tool == "etcdutl 3.5" else old and old.etcdctl
    assert program
    file = saved(tmp_path / "ours.db")
    said = subprocess.run(
        [program, "snapshot", "status", str(file), "-w", "json"],
        env={"ETCDCTL_API": "3"}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    status = json.loads(said.stdout)
    assert status["revision"] == store().flat.history.log[-1].modify_revision
    assert status["totalSize"] == file.stat().st_size - 32


def test_an_etcd_starts_from_our_snapshot_and_we_from_its(real: Programs, tmp_path: Path) -> None:
    assert real.etcdutl is not None
    theirs = tmp_path / "etcd"
    subprocess.run(
        [real.etcdutl, "snapshot", "restore", str(saved(tmp_path / "ours.db")), "--data-dir", str(theirs),
         "--name", "m1", "--initial-cluster", "m1=http://127.0.0.1:1",
         "--initial-advertise-peer-urls", "http://127.0.0.1:1"],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    with running(real, theirs, tmp_path / "log") as address:
        assert asked(real, address, "get", "a").split() == ["a", "2"]
        assert asked(real, address, "get", "--count-only", "--write-out=fields", "", "--prefix").endswith(
            '"Count" : 3003\n'
        )
        assert asked(real, address, "get", "--rev=3", "gone").split() == ["gone", "x"]
        assert "granted with TTL(600s)" in asked(real, address, "lease", "timetolive", "7", "--keys")
        assert asked(real, address, "user", "get", "root").split()[-1] == "r"
        assert "p/" in asked(real, address, "role", "get", "r")
        asked(real, address, "put", "a", "theirs")
        asked(real, address, "snapshot", "save", str(tmp_path / "theirs.db"))
    with Backup(tmp_path / "theirs.db") as backup:
        back = backup.store()
    record = back.flat.get(b"a")
    assert record is not None
    assert (record.value, record.version) == (b"theirs", 3)
    assert back.users.users == store().users.users
    assert [lease.id for lease in back.leases if lease.flat_keys] == [7]
