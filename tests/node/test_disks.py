"""What disks do to a running cluster: a node that was away too long, and one whose disk is full."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agreed.cli.exits import DISK_FAILED
from tests.node.running import DEADLINE_S, Writer, client_of, leading, log_of, playground, running, wait_until

pytestmark = pytest.mark.timeout(180)

LARGE = b"x" * 400_000


def test_a_node_that_was_away_too_long_gets_a_snapshot_and_has_the_same_state(tmp_path: Path) -> None:
    """More is written than the others keep of their log for those who lag (16 MiB)."""
    with running(tmp_path, "--snapshot-bytes", "4000000") as cluster, client_of(cluster.hosts) as client:
        client.ensure_path("/state")
        name = next(name for name in cluster.places if name != leading(cluster))
        last = wait_until(lambda: cluster.status_of(name), "it tells how far it is").last_index
        others = [other for other in cluster.places if other != name]
        cluster.kill(name)

        def have_let_go() -> bool:
            """Of what comes next for the one that is away: on a slow machine they do so later."""
            told = [cluster.status_of(other) for other in others]
            return all(each is not None and each.first_index > last + 1 for each in told)

        written = 0
        while written < 60 or not have_let_go():
            client.create(f"/state/{written}", LARGE + str(written).encode())
            written += 1
        cluster.start(name)
        cluster.wait_until_serving(DEADLINE_S)
        wait_until(
            lambda: "took over the leader's snapshot" in log_of(cluster, name), "a snapshot was taken over"
        )
        with client_of(cluster.places[name].client_address) as reader:
            reader.sync("/state")
            assert len(reader.get_children("/state")) == written
            for number in range(written):
                assert reader.get(f"/state/{number}") == client.get(f"/state/{number}")
        # A write through it, and once more over a restart: what it took over is on its disk.
        with client_of(cluster.places[name].client_address) as writer:
            writer.create("/state/after")
        cluster.kill(name)
        cluster.start(name)
        cluster.wait_until_serving(DEADLINE_S)
        with client_of(cluster.places[name].client_address) as reader:
            assert len(reader.get_children("/state")) == written + 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds one file of the log (64 MiB) and very little else."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root on Linux only")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=66m", "none", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=False)


def test_a_full_disk_stops_its_node_and_nobody_else(tmp_path: Path, small_disk: Path) -> None:
    name = "n3"
    cluster = playground(tmp_path / "cluster", "--snapshot-bytes", "65536")
    data = cluster.places[name].data
    data.symlink_to(small_disk, target_is_directory=True)
    with cluster:
        cluster.start_all()
        cluster.wait_until_serving(DEADLINE_S)
        others = ",".join(p.client_address for p in cluster.places.values() if p.name != name)
        with Writer(cluster.hosts) as writer, client_of(others) as client:
            writer.go_on()
            for number in range(10):
                client.create(f"/large-{number}", LARGE)
            assert cluster.processes[name].wait(DEADLINE_S) == DISK_FAILED, log_of(cluster, name)
            assert "the disk failed" in log_of(cluster, name)
            assert "No space left" in log_of(cluster, name)
            writer.go_on()
            assert writer.missing(others) == []
