"""Keys at a terminal and in scripts: what is written is read again, byte for byte, and changes are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agreed.backends.contract import Entry
from agreed.cli.exits import INTERRUPTED, MISUSED, REFUSED
from agreed.cli.playground import Playground
from agreed.cli.watch import Told, differences
from tests.node.running import running

BINARY = b"\x00\xff\n\x80"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with running(tmp_path_factory.mktemp("keys"), size=1) as cluster:
        yield cluster


def begin(node: Playground, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "agreed", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "AGREED_URL": f"agreed://{node.hosts}/cli"},
    )


def run(node: Playground, *arguments: str, given: bytes = b"") -> tuple[int, bytes]:
    process = begin(node, *arguments)
    told, error = process.communicate(given, timeout=60)
    assert b"Traceback" not in error, error.decode()
    return process.returncode, told


def test_what_is_put_is_read_again_byte_for_byte_and_only_where_it_was_as_it_was_said(
    node: Playground,
) -> None:
    code, told = run(node, "kv", "put", "config/price", "-", "--if-absent", given=BINARY)
    assert code == 0
    version = told.strip().decode()
    assert run(node, "kv", "get", "config/price") == (0, BINARY)
    assert json.loads(run(node, "kv", "get", "config/price", "--json")[1])["base64"] == "AP8KgA=="
    assert run(node, "kv", "put", "config/price", "11", "--if-absent")[0] == REFUSED
    assert run(node, "kv", "put", "config/price", "11", "--if-version", version)[0] == 0
    assert run(node, "kv", "delete", "config/price", "--if-version", version)[0] == REFUSED
    [listed] = json.loads(run(node, "kv", "list", "config", "--json")[1])
    assert (listed["key"], listed["value"], listed["session"]) == ("config/price", "11", "")
    assert b"config/price" in run(node, "kv", "list", "config")[1]
    assert run(node, "kv", "list", "--names") == (0, b"config\n")
    assert run(node, "kv", "delete", "config/price")[0] == 0
    assert run(node, "kv", "get", "config/price") == (REFUSED, b"")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("watch", "a", "--since", "3"), MISUSED),
        (("kv", "put", "a", "b", "--if-absent", "--if-version", "1"), MISUSED),
        (("watch", "a", "--every"), REFUSED),  # ZooKeeper's protocol knows no history
    ],
)
def test_what_makes_no_sense_is_refused(node: Playground, arguments: tuple[str, ...], code: int) -> None:
    assert run(node, *arguments)[0] == code


def test_what_becomes_of_a_key_is_told_until_somebody_has_heard_enough(node: Playground) -> None:
    watching = begin(node, "watch", "--below", "watched", "--json")
    assert watching.stdout is not None
    run(node, "kv", "put", "watched/a", "1")
    first = json.loads(watching.stdout.readline())
    assert (first["kind"], first["key"], first["value"]) == ("put", "watched/a", "1")
    run(node, "kv", "delete", "watched/a")
    assert json.loads(watching.stdout.readline()) == {"kind": "deleted", "key": "watched/a"}
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=60)
    assert watching.returncode == INTERRUPTED


def entry(key: str, version: int) -> Entry:
    return Entry(key, b"%d" % version, version, 1, version, 0)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ([], [], []),
        ([], [entry("a", 1)], [Told("put", "a", 1, None, "1")]),
        ([entry("a", 1)], [entry("a", 1)], []),
        ([entry("a", 1)], [entry("a", 2)], [Told("put", "a", 2, None, "2")]),
        (
            [entry("a", 1), entry("b", 2)],
            [entry("b", 2), entry("c", 3)],
            [Told("deleted", "a"), Told("put", "c", 3, None, "3")],
        ),
    ],
)
def test_two_states_differ_by_what_has_happened_in_between(
    before: list[Entry], now: list[Entry], told: list[Told]
) -> None:
    assert differences(before, now) == told
