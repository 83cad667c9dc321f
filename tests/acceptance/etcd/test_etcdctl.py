"""etcdctl has the same conversation with us as with a real cluster: every command, in 3.4 and in 3.5.

Both clusters have three nodes; the real one is 3.5.1.  What is typed is in `scripts.py`, and how what is
printed is made comparable in `etcdctl.py`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from tests.acceptance.etcd.ensemble import EtcdEnsemble, EtcdFace, debian, packaged
from tests.acceptance.etcd.etcdctl import Said, hold
from tests.acceptance.etcd.scripts import SCRIPTS

pytestmark = pytest.mark.peer("etcd")


class Deliberate(NamedTuple):
    """A line printed by a command that is another one with us, and why."""

    command: str
    theirs: str
    ours: str
    reason: str


DELIBERATE = (
    Deliberate(
        "member list -w simple",
        "id#1, unstarted, , http://127.0.0.1:3, , false",
        "id#1, unstarted, , http://127.0.0.1:3, , true",
        "3.5.1 forgets that a member is a learner when its address is changed",
    ),
)


class Conversation(NamedTuple):
    script: str
    theirs: list[Said]
    ours: list[Said]


@pytest.fixture(scope="module")
def conversations() -> dict[str, list[Conversation]]:
    """By the version of etcdctl."""
    programs = {"3.5.1": packaged(), "3.4": debian()}
    with EtcdEnsemble(3) as real, EtcdFace(3) as ours, ThreadPoolExecutor(2) as pool:
        return {
            version: [
                Conversation(name, *pool.map(hold, (script,) * 2, (each.etcdctl,) * 2, (real, ours)))
                for name, script in SCRIPTS.items()
            ]
            for version, each in programs.items()
            if each is not None and each.etcdctl is not None
        }


@pytest.mark.parametrize("version", ["3.5.1", "3.4"])
def test_it_has_the_same_conversation_with_us(
    version: str, conversations: dict[str, list[Conversation]]
) -> None:
    if version not in conversations:
        pytest.skip("no etcdctl of Debian (package `etcd-client`): run tools/peers.sh")
    for script, theirs, ours in conversations[version]:
        for command, wanted in zip(ours, theirs, strict=True):
            lines = tuple(
                next((each.ours for each in DELIBERATE if each[:2] == (command.command, line)), line)
                for line in wanted.lines
            )
            assert command == wanted._replace(lines=lines), script
