"""Our answers are those of etcd 3.5.1, word for word, save those that are meant to be different.

What it answered is kept in `../recorded/`; what is asked is in `questions_*.py`.  Where etcd 3.5.1 is
installed it is asked again, so that the questions and the record cannot drift apart.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.acceptance.etcd.ensemble import EtcdEnsemble, EtcdFace
from tests.acceptance.etcd.everything import INTERVIEWS, recorded


class Deliberate(NamedTuple):
    """A question to which our answer is another one, and why.  Each line of `recorded` becomes one of
    `ours`."""

    question: str
    recorded: str
    ours: str
    reason: str


STATUS = "version ... dbSize ... leader ... raftIndex ... raftTerm ... raftAppliedIndex ... dbSizeInUse ..."
DENIED = (
    "created True canceled True"
    " cancel_reason 'rpc error: code = PermissionDenied desc = etcdserver: permission denied'"
)
NOBODY = {
    "txn": "{header {ids term rev 54} succeeded True}",
    "compact": "OUT_OF_RANGE 'etcdserver: mvcc: required revision has been compacted'",
    "status": f"{{header {{ids term rev 54}} {STATUS}}}",
    "members": "{header {ids term} members [{ID ... name ... peerURLs ... clientURLs ...}]}",
    "grant": "{header {ids term rev 54} ID 60 TTL 60}",
    "revoke": "{header {ids term rev 54}}",
    "alarms": "{header {ids term rev 54}}",
    "hash": "UNKNOWN 'auth: user name is empty'",
}
"""What 3.5.1 answers to who does not say who he is, while authentication is on."""

DELIBERATE = (
    Deliberate(
        "fresh status",
        f"{{header {{ids term rev 1}} {STATUS}}}",
        "{header {ids term rev 1} version ... leader ... raftIndex ... raftTerm ... raftAppliedIndex ...}",
        "sizes are those of keys and values, of which there are none yet",
    ),
    *(
        Deliberate(
            f"nobody: {question}",
            theirs,
            "INVALID_ARGUMENT 'etcdserver: user name is empty'",
            "CVE-2026-33413: later versions ask everybody who he is",
        )
        for question, theirs in NOBODY.items()
    ),
    Deliberate(
        "user: compact",
        "OUT_OF_RANGE 'etcdserver: mvcc: required revision has been compacted'",
        "PERMISSION_DENIED 'etcdserver: permission denied'",
        "CVE-2026-33413: later versions let root alone take the history away from everybody",
    ),
    Deliberate(
        "user: txn elsewhere, nested",
        "{header {ids term rev 56} succeeded True responses [{response_txn {header {} succeeded True"
        " responses [{response_range {header {rev 56}}}]}}]}",
        "PERMISSION_DENIED 'etcdserver: permission denied'",
        "CVE-2026-33343: 3.5.1 does not look into nested transactions",
    ),
    *(
        Deliberate(
            f"{who}: watch what it may not read",
            f"{{header {{ids term rev 57}} {DENIED}}}",
            f"{{header {{ids term rev 57}} watch_id -1 {DENIED}}}",
            "3.5.1 names watch 0, which another one may have; later versions -1",
        )
        for who in ("user", "nobody")
    ),
    Deliberate(
        "after it was disabled: range with an old token",
        "UNAUTHENTICATED 'etcdserver: invalid auth token'",
        "{header {ids term rev 57} kvs [{key 'root' create_revision 57 mod_revision 57 version 1}] count 1}",
        "a token that nobody asks for is not looked at",
    ),
)


def expected_of_us(name: str, nodes: int) -> list[str]:
    """The record with the deliberate differences in it; each must be there to be replaced."""
    lines = recorded(name, nodes)
    for question, theirs, ours, _ in DELIBERATE:
        if (line := f"{question} -> {theirs}") in lines:
            lines[lines.index(line)] = f"{question} -> {ours}"
    return lines


def test_each_deliberate_difference_is_one() -> None:
    everything = {line for name in INTERVIEWS for line in recorded(name)}
    for question, theirs, ours, reason in DELIBERATE:
        assert f"{question} -> {theirs}" in everything
        assert theirs != ours
        assert reason


@pytest.mark.parametrize(
    ("name", "nodes", "role"),
    [
        ("etcd-3.5.1", 1, "leader"),
        ("etcd-3.5.1", 3, "follower"),
        ("etcd-gateway-3.5.1", 3, "follower"),
    ],
)
def test_our_answers_are_the_recorded_ones(name: str, nodes: int, role: str) -> None:
    with EtcdFace(nodes) as cluster:
        leader = cluster.wait_for_leader()
        asked = next(node for node in cluster.nodes if (node is leader) == (role == "leader"))
        said = INTERVIEWS[name](cluster.etcd_addresses[cluster.nodes.index(asked)], nodes)
    assert said == expected_of_us(name, nodes)


@pytest.mark.peer("etcd")
@pytest.mark.parametrize("name", INTERVIEWS)
def test_the_record_is_what_a_real_server_answers(name: str) -> None:
    for _ in range(2):  # a server that was slow for a moment says nothing about the record: asked once more
        with EtcdEnsemble(1) as etcd:
            answers = INTERVIEWS[name](etcd.etcd_addresses[0], 1)
        if answers == recorded(name):
            break
    assert answers == recorded(name)
