"""`agreed snapshot`: out of a running cluster into a file, and out of a file into a new cluster."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from agreed.cli.playground import Playground
from agreed.cli.snapshot import EtcdFile, command
from agreed.client.etcd_channel import EtcdChannel
from agreed.disk.inspect import describe
from agreed.errors import ConfigurationError, CorruptData, DiskFailed
from agreed.wire.etcd.bbolt import Writing, bucket
from agreed.wire.etcd.messages import LeaseGrantRequest, PutRequest, RangeRequest


def told(*arguments: str) -> str:
    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def ask(addresses: str, *calls: tuple[str, msgspec.Struct]) -> list[object]:
    async def all_of_them() -> list[object]:
        async with EtcdChannel(addresses.split(",")) as channel:
            return [
                await channel.call(f"/etcdserverpb.{method}", request, timeout_s=30, repeatable=True)
                for method, request in calls
            ]

    return asyncio.run(all_of_them())


def test_what_one_cluster_held_another_begins_with(tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    with Playground(tmp_path / "old", size=1, etcd=True) as old:
        old.start_all()
        old.wait_until_serving(30)
        ask(
            old.etcd_endpoints,
            ("Lease/LeaseGrant", LeaseGrantRequest(600, 7)),
            ("KV/Put", PutRequest(b"k", b"1")),
            ("KV/Put", PutRequest(b"k", b"2", 7)),
        )
        assert "1 keys in 2 versions" in told("save", str(file), "--from", f"etcd://{old.etcd_endpoints}")
    assert file.stat().st_mode & 0o077 == 0, "it holds all keys, and the hashes of passwords"
    assert not list(tmp_path.glob("*.part"))
    summary = json.loads(told("verify", str(file), "--json"))
    assert (summary["revision"], summary["keys"], summary["leases"]) == (3, 1, 1)
    assert summary["sha256"] == hashlib.sha256(file.read_bytes()[:-32]).hexdigest()

    with Playground(tmp_path / "new", size=3, etcd=True) as new:
        members = [f"{place.name}={place.peer_address}" for place in new.places.values()]
        told("restore", str(file), str(tmp_path / "new"), *members)
        new.start_all()
        new.wait_until_serving(30)
        for place in new.places.values():
            assert place.etcd_address is not None
            (reply,) = ask(place.etcd_address, ("KV/Range", RangeRequest(b"k", revision=2)))
            assert [each.value for each in reply.kvs] == [b"1"], "the history is there as well"  # type: ignore[attr-defined]
        (reply,) = ask(new.etcd_endpoints, ("KV/Put", PutRequest(b"k", b"3", ignore_lease=True)))
        assert reply.header.revision > 3  # type: ignore[attr-defined]


def snapshot_file(path: Path, digest: bool = True) -> Path:
    data = b"".join(Writing([bucket(b"key", {}), bucket(b"meta", {})]).pieces())
    path.write_bytes(data + (hashlib.sha256(data).digest() if digest else b""))
    return path


def test_each_restored_cluster_is_another_one(tmp_path: Path) -> None:
    file = snapshot_file(tmp_path / "empty.db")
    clusters = set()
    for name in ("a", "b"):
        told("restore", str(file), str(tmp_path / name), "n1=127.0.0.1:1", "n2=127.0.0.1:2")
        identities = [describe(tmp_path / name / member).identity for member in ("n1", "n2")]
        assert len({each.identity for each in identities if each}) == 2
        assert len({each.cluster for each in identities if each}) == 1
        clusters |= {each.cluster for each in identities if each}
    assert len(clusters) == 2


def test_nothing_is_restored_over_what_is_there(tmp_path: Path) -> None:
    file = snapshot_file(tmp_path / "empty.db")
    (tmp_path / "n2").mkdir()
    (tmp_path / "n2" / "precious").touch()
    with pytest.raises(ConfigurationError, match="n2 is there already"):
        told("restore", str(file), str(tmp_path), "n1=127.0.0.1:1", "n2=127.0.0.1:2")
    assert not (tmp_path / "n1").exists()


@pytest.mark.parametrize("members", [("n1",), ("n1=nowhere",), ("=127.0.0.1:1",), ("n1=a:1", "n1=a:2")])
def test_members_that_cannot_be_meant(tmp_path: Path, members: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        told("restore", str(snapshot_file(tmp_path / "empty.db")), str(tmp_path / "d"), *members)


def test_one_flipped_bit_is_found(tmp_path: Path) -> None:
    file = snapshot_file(tmp_path / "broken.db")
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    with pytest.raises(CorruptData, match="SHA-256"):
        told("verify", str(file))


def test_what_is_no_snapshot_is_none(tmp_path: Path) -> None:
    for content in (b"", b"hello", bytes(4096), bytes(4096 * 4)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(CorruptData):
            told("verify", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match="No such file"):
        told("verify", str(tmp_path / "absent"))


def test_a_database_without_a_digest_is_read_and_called_one(tmp_path: Path) -> None:
    """As it lies in the directory of an etcd."""
    assert "copied, not saved" in told("verify", str(snapshot_file(tmp_path / "db", digest=False)))


def test_what_was_cut_off_is_not_taken_for_a_database_without_a_digest(tmp_path: Path) -> None:
    """As a transfer leaves it that was broken off close to its end."""
    file = snapshot_file(tmp_path / "cut.db")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(CorruptData, match="cut short"):
        told("verify", str(file))


def test_who_restores_a_database_without_a_digest_is_told_so(tmp_path: Path) -> None:
    file = snapshot_file(tmp_path / "db", digest=False)
    assert "copied, not saved" in told("restore", str(file), str(tmp_path / "new"), "n1=127.0.0.1:1")


def test_a_place_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        told("save", str(tmp_path / "absent" / "file"))
    with EtcdFile(Path("/dev/full")) as full, pytest.raises(DiskFailed, match="No space left"):
        full.write(b"much")


def test_another_database_is_not_taken_for_one_of_etcd(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"".join(Writing([bucket(b"songs", {b"a": b"b"})]).pieces()))
    with pytest.raises(CorruptData, match="not of an etcd"):
        told("verify", str(tmp_path / "db"))


def test_nothing_is_left_where_nothing_could_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="as a whole"):
        told("save", str(tmp_path / "file"), "--from", "zookeeper://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []
