"""A server for tests in other languages: told by lines, answering by lines."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from agreed.cli.fake import Dialogue
from agreed.client import connect
from agreed.client.errors import ConnectionLost
from agreed.testing import ZooKeeperServer


def test_it_is_told_by_lines_and_ends_with_them() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "agreed", "serve", "--fake", "zookeeper", "--port", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with connect(f"zk://{address}") as session:
            session.create("/held", b"mine", ephemeral=True)
            process.stdin.write("silence\nadvance 30\ncontents\n")
            process.stdin.flush()
            assert [process.stdout.readline() for _ in range(3)] == ["ok\n", "ok\n", "ok {}\n"]
            session.abandon()
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.fixture
def dialogue(zk_server: ZooKeeperServer) -> Dialogue:
    return Dialogue(zk_server)


def test_faults_and_questions(zk_server: ZooKeeperServer, dialogue: Dialogue) -> None:
    with connect(zk_server.url) as session:
        assert dialogue.answer(["sessions"]) == f"ok {session.id}"
        assert dialogue.answer(["lose-reply", "create", "/a*"]) == "ok"
        with pytest.raises(ConnectionLost):
            session.create("/a", b"1", ephemeral=True)
        assert json.loads(dialogue.answer(["contents"]).removeprefix("ok ")) == {"/a": "MQ=="}
        assert dialogue.answer(["assert-no-ephemerals-left"]) == "error still there: /a"
        for command in ("delay get", "release", "drop *", "fail set", "assert-linearizable", "reset"):
            assert dialogue.answer(command.split()) == "ok", command


@pytest.mark.parametrize("said", ["fly", "advance", "advance soon", "drop fly", "expire 0x7", "reset now"])
def test_what_makes_no_sense_is_answered_with_why(dialogue: Dialogue, said: str) -> None:
    [answer] = dialogue.answers([said, ""])
    assert answer.startswith("error ")
    assert dialogue.answer(["sessions"]) == "ok"
