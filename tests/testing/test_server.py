"""Servers without pytest, with our own client, in real time, beside others, and what they keep."""

from __future__ import annotations

import subprocess
import sys
import time
import unittest
from typing import ClassVar

import pytest

import agreed
import agreed.testing
from agreed.client import connect
from agreed.client.errors import NoNode
from agreed.errors import ConfigurationError
from agreed.recipes.errors import LockLost
from agreed.testing import EtcdServer, Server, ZooKeeperServer
from agreed.testing.history import MOST_OPERATIONS, NoHistory
from agreed.testing.locks import LockShared
from agreed.testing.server import NotLinearizable


@pytest.fixture(params=["zk_server", "etcd_server"])
def server(request: pytest.FixtureRequest) -> Server:
    chosen: Server = request.getfixturevalue(request.param)
    return chosen


def test_our_own_client_loses_a_lock_with_its_session(server: Server) -> None:
    """The address is one for `agreed.connect`; a lock that is lost is found out by who holds it."""
    with agreed.connect(server.url) as client:
        with client.lock("orders") as held:
            token = held.token
            held.check()
        with pytest.raises(LockLost), client.lock("orders") as held:
            assert held.token > token
            server.faults.expire()
            with pytest.raises(LockLost):
                while True:
                    held.check()
                    time.sleep(0.001)
    server.assert_no_ephemerals_left()


def test_our_own_locks_are_read_by_their_names(server: Server) -> None:
    name = "/orders" if isinstance(server, ZooKeeperServer) else "orders"
    with agreed.connect(server.url) as first, agreed.connect(server.url) as second:
        with first.lock("orders"), server.inside(name, "first"):
            pass
        with second.lock("orders"), server.inside(name, "second"):
            pass
        server.assert_lock_never_shared(name)
        with server.inside(name, "a body without the lock"), first.lock("orders"):
            pass
    with pytest.raises(LockShared, match="a body without the lock was inside"):
        server.assert_lock_never_shared(name)


def test_two_servers_know_nothing_of_each_other(zk_server: ZooKeeperServer) -> None:
    with agreed.testing.zookeeper() as other, connect(other.url) as session:
        session.create("/key")
        assert zk_server.contents() == {}
        assert other.port != zk_server.port
        other.clock.advance(10)
        assert zk_server.clock.now_s < other.clock.now_s + zk_server.clock.now_s


def test_a_server_may_live_in_real_time() -> None:
    with agreed.testing.zookeeper(real_time=True) as server, connect(server.url) as session:
        session.create("/brief", b"", ttl_ms=1)
        with pytest.raises(ConfigurationError, match="real time"):
            server.clock.advance(1)
        deadline = time.monotonic() + 60
        while session.exists("/brief") is not None:
            assert time.monotonic() < deadline


def test_what_the_server_deletes_by_itself_is_in_the_history(zk_server: ZooKeeperServer) -> None:
    with connect(zk_server.url) as session, connect(zk_server.url) as other:
        other.create("/held", b"mine", ephemeral=True)
        assert session.get("/held").data == b"mine"
        session.create("/key", b"one")
        session.set("/key", b"two")
        zk_server.faults.expire(other.id)
        with pytest.raises(NoNode):
            session.get("/held")
        assert session.exists("/held") is None
    zk_server.assert_linearizable()


def test_a_server_that_would_answer_with_what_is_past_is_found(zk_server: ZooKeeperServer) -> None:
    """As if it were a mistake of ours: nothing else can make this server do so."""
    with connect(zk_server.url) as session:
        session.create("/key", b"one")
        session.set("/key", b"two")
    zk_server.do(lambda node: node.recorder.note("read", "'one'", "/key", time.monotonic_ns()))
    with pytest.raises(NotLinearizable):
        zk_server.assert_linearizable()


def test_of_a_history_that_is_too_long_the_judge_is_not_asked(zk_server: ZooKeeperServer) -> None:
    def fill(node: object) -> None:
        for _ in range(MOST_OPERATIONS + 1):
            zk_server.node.recorder.changed("/key", "'1'")

    zk_server.do(fill)
    with pytest.raises(NoHistory, match="more than"):
        zk_server.assert_linearizable()
    zk_server.reset()
    zk_server.assert_linearizable()


def test_an_operation_that_fails_may_have_been_done(etcd_server: EtcdServer) -> None:
    history = etcd_server.history
    with pytest.raises(OSError), history.operation("a", "write", "1", key="k"):
        raise OSError("connection reset")
    with history.operation("a", "read", key="k") as read:
        read.result = "1"
    etcd_server.assert_linearizable("register")
    with history.operation("a", "read", key="k") as read:
        read.result = "2"
    with pytest.raises(NotLinearizable):
        etcd_server.assert_linearizable("register")


class WithoutPytest(unittest.TestCase):
    server: ClassVar[ZooKeeperServer]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = cls.enterClassContext(agreed.testing.zookeeper())

    def setUp(self) -> None:
        self.server.reset()

    def test_one(self) -> None:
        with connect(self.server.url) as session:
            session.create("/key")

    def test_two(self) -> None:
        self.test_one()


def test_who_does_not_use_it_does_not_pay_for_it() -> None:
    program = (
        "import sys; import agreed.testing.plugin;"
        "print(sorted(name for name in sys.modules if name.startswith('agreed')))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    known = ["agreed", "agreed.testing", "agreed.testing.plugin", "agreed.version"]
    assert told.stdout.strip() == str(known)
