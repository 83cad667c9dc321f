"""Our answers are those of ZooKeeper 3.9.3, word for word, save those that are meant to be different.

What it answered is kept in `recorded/`; how the questions are asked is in `questions.py`.  Where a
ZooKeeper 3.9 is installed, it is asked again, so that the questions and the record cannot drift apart.
"""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from agreed.consensus import protocols
from tests.acceptance.cluster import (
    CONSENSUS,
    JAAS_TEXT,
    NO_ZOOKEEPER,
    SUPER_DIGEST,
    Cluster,
    ZooKeeperEnsemble,
    version_of,
    zookeeper_classpath,
)
from tests.acceptance.jute import OPEN
from tests.acceptance.questions import ask_everything
from tests.acceptance.raw_client import Closed, RawClient, connect
from tests.acceptance.requests import Create, Read

RECORDED = Path(__file__).parent / "recorded" / "zookeeper-3.9.3.txt"


class Deliberate(NamedTuple):
    """A question to which our answer is another one, and why."""

    question: str
    recorded: str
    ours: str
    reason: str


DELIBERATE = (
    Deliberate(
        "deleteContainer from a client",
        "err 0",
        "zxid -1, err -6",
        "an operation of the server's own upkeep, obeyed without a look at the access list: we know it not",
    ),
    Deliberate(
        "reconfig with nonsense",
        "err -123",
        "err -8",
        "reconfiguration is off by default there, and always on here",
    ),
)


def recorded_answers() -> list[str]:
    return [line for line in RECORDED.read_text().splitlines() if not line.startswith("#")]


def expected_of_us() -> list[str]:
    """The record with the deliberate differences in it; each must be there to be replaced."""
    lines = recorded_answers()
    for question, recorded, ours, _ in DELIBERATE:
        lines[lines.index(f"{question} -> {recorded}")] = f"{question} -> {ours}"
    return lines


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    jaas = tmp_path / "jaas.conf"
    jaas.write_text(JAAS_TEXT)
    return ["--super-digest", SUPER_DIGEST, "--jaas", str(jaas)]


def answers_of(nodes: int, role: str, options: list[str], consensus: str) -> list[str]:
    with Cluster(nodes, options=options, consensus=consensus) as cluster:
        leader = cluster.wait_for_leader()
        followers = [node for node in cluster.nodes if node is not leader]
        asked = leader if role == "leader" else followers[0]
        return ask_everything(asked.client_port)


@pytest.mark.parametrize(("nodes", "role"), [(1, "leader"), (3, "leader"), (3, "follower")])
def test_our_answers_are_the_recorded_ones(nodes: int, role: str, options: list[str]) -> None:
    assert answers_of(nodes, role, options, CONSENSUS) == expected_of_us()


def test_the_answers_are_the_same_whatever_the_nodes_agree_by(options: list[str]) -> None:
    """All at once: most of an interview is waiting."""
    others = [name for name in protocols.NAMES if name != CONSENSUS]
    with ThreadPoolExecutor(len(others)) as pool:
        interviews = {name: pool.submit(answers_of, 3, "follower", options, name) for name in others}
        for name, interview in interviews.items():
            assert interview.result() == expected_of_us(), name


def test_the_record_is_what_a_real_server_answers() -> None:
    if zookeeper_classpath() is None:
        pytest.skip(NO_ZOOKEEPER)
    with ZooKeeperEnsemble(1, reconfig=False) as ensemble:
        version = version_of(ensemble.nodes[0])
        if version < (3, 9):
            pytest.skip(f"the ZooKeeper installed here is {version}, the record is of 3.9.3")
        assert ask_everything(ensemble.nodes[0].client_port) == recorded_answers()


@pytest.mark.parametrize(("flags", "ttl"), [(0, -1), (0, 600_000), (2, -1), (4, 0), (9, 5)])
def test_a_time_to_live_without_its_mode_is_refused_and_does_no_harm(flags: int, ttl: int) -> None:
    """One such request stops a real ensemble for good: it is logged, cannot be applied, and meets every
    restart again."""
    with Cluster(1) as cluster:
        node = cluster.nodes[0]
        poison = Create("/poison", b"", OPEN, flags, 21, ttl)
        assert connect(node.client_port).call(21, poison.body("", 0)).err == -8
        node.kill()
        cluster.restart(node)
        assert connect(node.client_port).call(3, Read(3, "/poison").body("", 0)).err == -101


def test_a_stranger_cannot_take_a_session_by_its_number() -> None:
    with Cluster(1) as cluster:
        port = cluster.nodes[0].client_port
        owner = connect(port)
        assert owner.session is not None
        thief = RawClient(port)
        assert not thief.handshake(session_id=owner.session.id, password=bytes(16)).accepted
        with pytest.raises(Closed):
            thief.receive()
        assert owner.call(11, xid=-2).err == 0
