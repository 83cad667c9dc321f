"""Clients never take what the log needs to go on."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from agreed.cli.playground import free_ports
from agreed.node.descriptors import RESERVED, for_clients
from tests.node.running import client_of, wait_until

LIMIT = 2 * RESERVED
MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    ("limit", "configured", "clients"),
    [
        (1_024, 0, 1_024 - RESERVED),
        (1_024, 100, 100),
        (1_024, 5_000, 1_024 - RESERVED),
        (100, 0, 50),
        (resource.RLIM_INFINITY, 0, 0),
        (resource.RLIM_INFINITY, 60, 60),
    ],
)
def test_as_many_clients_are_let_in_as_leave_room(limit: int, configured: int, clients: int) -> None:
    assert for_clients(limit, configured) == clients


@pytest.mark.timeout(120)
def test_more_clients_than_files_may_be_open_do_not_end_a_node(tmp_path: Path) -> None:
    peer, client = free_ports(2)
    serve = [sys.executable, "-m", "agreed", "serve", "--name", "n1", "--data", str(tmp_path / "n1")]
    serve += ["--peers", f"n1=127.0.0.1:{peer}", "--zookeeper", f"127.0.0.1:{client}"]
    # Each of the writes below makes it take a snapshot, for which it opens files.
    serve += ["--snapshot-bytes", "65536", "--snapshot-entries", "100"]
    limited = ["sh", "-c", f'ulimit -n {LIMIT} && exec "$@"', "sh"]
    with ExitStack() as held, (tmp_path / "log").open("wb") as log:
        node = subprocess.Popen([*limited, *serve], stdout=log, stderr=log)
        held.callback(node.wait, 30)
        held.callback(node.terminate)
        honest = held.enter_context(client_of(f"127.0.0.1:{client}"))
        for _ in range(LIMIT + 20):
            held.enter_context(socket.create_connection(("127.0.0.1", client)))
        for number in range(10):
            honest.create(f"/large-{number}", bytes(MEGABYTE - 1_000))
        assert node.poll() is None, (tmp_path / "log").read_text()
        wait_until(lambda: "are the limit" in (tmp_path / "log").read_text(), "it is told")
