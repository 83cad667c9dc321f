"""What kazoo's users test: creation, watches, locks, and sessions that end; without a sleep."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import ConnectionLoss, NoAuthError, NodeExistsError, OperationTimeoutError
from kazoo.protocol.states import WatchedEvent

from agreed.testing import ZooKeeperServer
from agreed.testing.faults import NotMet
from agreed.testing.locks import LockShared

PATIENCE_S = 30.0


@pytest.fixture
def client(zk_server: ZooKeeperServer) -> Iterator[KazooClient]:
    kazoo = connected(zk_server)
    yield kazoo
    ended(kazoo)


def connected(server: ZooKeeperServer) -> KazooClient:
    kazoo = KazooClient(server.hosts, timeout=10.0)
    kazoo.start(PATIENCE_S)
    return kazoo


def ended(kazoo: KazooClient) -> None:
    kazoo.stop()
    kazoo.close()


def told(kazoo: KazooClient) -> queue.SimpleQueue[str]:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    kazoo.add_listener(states.put)
    return states


def test_each_test_begins_with_an_empty_server(zk_server: ZooKeeperServer, client: KazooClient) -> None:
    client.create("/app/config", b"one", makepath=True)
    assert zk_server.contents() == {"/app": b"", "/app/config": b"one"}


def test_each_test_begins_with_an_empty_server_again(zk_server: ZooKeeperServer, client: KazooClient) -> None:
    assert zk_server.contents() == {}
    assert client.exists("/app") is None


def test_a_watch_is_told_and_one_that_is_left_is_found(
    zk_server: ZooKeeperServer, client: KazooClient
) -> None:
    seen: queue.SimpleQueue[WatchedEvent] = queue.SimpleQueue()
    client.exists("/key", watch=seen.put)
    with pytest.raises(AssertionError, match="still watched: /key"):
        zk_server.assert_no_leaked_watches(0.1)
    client.create("/key")
    assert seen.get(timeout=PATIENCE_S).type == "CREATED"
    zk_server.assert_no_leaked_watches()


def test_what_a_dead_client_held_goes_with_time(zk_server: ZooKeeperServer, client: KazooClient) -> None:
    other = connected(zk_server)
    other.create("/held", ephemeral=True)
    gone = threading.Event()
    client.exists("/held", watch=lambda event: gone.set())
    zk_server.faults.silence(other.client_id[0])
    states = told(other)
    zk_server.clock.advance(9)
    assert client.exists("/held") is not None
    with pytest.raises(AssertionError, match="still there: /held"):
        zk_server.assert_no_ephemerals_left()
    zk_server.clock.advance(4)
    assert gone.wait(PATIENCE_S)
    assert client.exists("/held") is None
    zk_server.assert_no_ephemerals_left()
    assert states.get(timeout=PATIENCE_S) == KazooState.SUSPENDED
    assert states.get(timeout=PATIENCE_S) == KazooState.LOST
    ended(other)


def test_watchers_see_a_service_come_change_and_go(zk_server: ZooKeeperServer, client: KazooClient) -> None:
    """`ChildrenWatch` and `DataWatch`, as discovery uses them."""
    names: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
    values: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    client.ensure_path("/services")
    client.ChildrenWatch("/services", names.put)
    client.DataWatch("/services/a", lambda value, stat: values.put(value))
    assert (names.get(timeout=PATIENCE_S), values.get(timeout=PATIENCE_S)) == ([], None)
    service = connected(zk_server)
    service.create("/services/a", b"starts", ephemeral=True)
    assert (names.get(timeout=PATIENCE_S), values.get(timeout=PATIENCE_S)) == (["a"], b"starts")
    service.set("/services/a", b"serves")
    assert values.get(timeout=PATIENCE_S) == b"serves"
    zk_server.faults.silence(service.client_id[0])
    zk_server.clock.advance(13)
    assert (names.get(timeout=PATIENCE_S), values.get(timeout=PATIENCE_S)) == ([], None)
    ended(service)


def test_hours_end_nobody_whose_client_is_there(zk_server: ZooKeeperServer, client: KazooClient) -> None:
    client.create("/held", ephemeral=True)
    zk_server.clock.advance(3600)
    assert client.exists("/held") is not None


def test_a_lock_goes_to_the_next_when_its_holder_is_lost(
    zk_server: ZooKeeperServer, client: KazooClient
) -> None:
    other = connected(zk_server)
    ours, theirs = client.Lock("/locks/orders", "ours"), other.Lock("/locks/orders", "theirs")
    assert ours.acquire(timeout=PATIENCE_S)
    assert not theirs.acquire(blocking=False)
    waiting = theirs.acquire
    got = threading.Thread(target=waiting)
    got.start()
    zk_server.faults.expire(client.client_id[0])
    got.join(PATIENCE_S)
    assert theirs.is_acquired
    theirs.release()
    ended(other)


def test_those_who_wait_get_their_turn_with_time(zk_server: ZooKeeperServer, client: KazooClient) -> None:
    """Locks and elections of kazoo: the holder hangs, and nobody has to wait for that in real time."""
    other = connected(zk_server)
    lock, election = other.Lock("/locks/orders", "hangs"), other.Election("/election", "hangs")
    assert lock.acquire(timeout=PATIENCE_S)
    leads, ended_by_test = threading.Event(), threading.Event()

    def lead() -> None:
        leads.set()
        ended_by_test.wait(PATIENCE_S)

    leading = threading.Thread(target=election.run, args=(lead,))
    leading.start()
    assert leads.wait(PATIENCE_S)
    assert client.Election("/election").contenders() == ["hangs"]

    turns: queue.SimpleQueue[str] = queue.SimpleQueue()
    theirs = client.Lock("/locks/orders", "waits")
    waiting = [
        threading.Thread(target=lambda: turns.put("lock" if theirs.acquire() else "")),
        threading.Thread(target=client.Election("/election", "waits").run, args=(turns.put, "leads")),
    ]
    for thread in waiting:
        thread.start()
    zk_server.faults.silence(other.client_id[0])
    zk_server.clock.advance(9)
    assert turns.empty()
    zk_server.clock.advance(4)
    assert {turns.get(timeout=PATIENCE_S), turns.get(timeout=PATIENCE_S)} == {"lock", "leads"}
    theirs.release()
    ended_by_test.set()
    for thread in (leading, *waiting):
        thread.join(PATIENCE_S)
    ended(other)


def test_a_body_that_outlives_its_lock_is_found(zk_server: ZooKeeperServer, client: KazooClient) -> None:
    other = connected(zk_server)
    name = "/locks/orders"
    with client.Lock(name, "first"), zk_server.inside(name, "first"):
        pass
    with other.Lock(name, "second"), zk_server.inside(name, "second"):
        pass
    zk_server.assert_lock_never_shared(name)
    first, second = client.Lock(name, "first"), other.Lock(name, "second")
    first.acquire()
    with zk_server.inside(name, "first"):
        zk_server.faults.expire(client.client_id[0])
        second.acquire(timeout=PATIENCE_S)
    with pytest.raises(LockShared, match="first was inside"):
        zk_server.assert_lock_never_shared(name)
    second.release()
    ended(other)


def test_two_bodies_at_a_time_are_found(zk_server: ZooKeeperServer) -> None:
    with pytest.raises(AssertionError, match="nobody was inside"):
        zk_server.assert_lock_never_shared("/locks/orders")
    with zk_server.inside("/locks/orders", "one"), zk_server.inside("/locks/orders", "two"):
        pass
    with pytest.raises(LockShared, match="one and two were inside"):
        zk_server.assert_lock_never_shared("/locks/orders")


# --- faults ------------------------------------------------------------------------------------------------


def test_a_request_that_is_dropped_was_not_done(zk_server: ZooKeeperServer, client: KazooClient) -> None:
    fault = zk_server.faults.drop("create")
    with pytest.raises(ConnectionLoss):
        client.create("/key")
    assert fault.met == 1
    assert zk_server.contents() == {}
    client.retry(client.create, "/key")


def test_a_request_whose_reply_is_lost_was_done(zk_server: ZooKeeperServer, client: KazooClient) -> None:
    fault = zk_server.faults.lose_reply("create", key="/orders/*")
    client.create("/orders")
    with pytest.raises(NodeExistsError):
        client.retry(client.create, "/orders/1")
    assert fault.met == 1


def test_a_request_that_fails_was_not_done(zk_server: ZooKeeperServer, client: KazooClient) -> None:
    zk_server.faults.fail("set", error="NoAuth")
    zk_server.faults.fail("create", times=2)
    for _ in range(2):
        with pytest.raises(OperationTimeoutError):
            client.create("/key", b"one")
    pending = [
        client.create_async("/key", b"one"),
        client.set_async("/key", b"two"),
        client.get_async("/key"),
    ]
    assert pending[0].get(timeout=PATIENCE_S) == "/key"
    with pytest.raises(NoAuthError):
        pending[1].get(timeout=PATIENCE_S)
    assert pending[2].get(timeout=PATIENCE_S)[0] == b"one"


def test_a_request_that_is_delayed_comes_with_its_time(
    zk_server: ZooKeeperServer, client: KazooClient
) -> None:
    late = zk_server.faults.delay("create", seconds=5)
    held = zk_server.faults.delay("set")
    creation, change = client.create_async("/key", b"one"), client.set_async("/key", b"two")
    late.wait_until_met()
    zk_server.clock.advance(4)
    assert zk_server.contents() == {}
    zk_server.clock.advance(1)
    assert creation.get(timeout=PATIENCE_S) == "/key"
    held.wait_until_met()
    assert zk_server.contents() == {"/key": b"one"}
    held.release()
    assert change.get(timeout=PATIENCE_S).version == 1


def test_a_server_that_is_paused_answers_when_it_goes_on(
    zk_server: ZooKeeperServer, client: KazooClient
) -> None:
    with zk_server.faults.paused():
        creation = client.create_async("/key")
        assert zk_server.contents() == {}
        assert not creation.ready()
    assert creation.get(timeout=PATIENCE_S) == "/key"


def test_a_server_without_disk_is_gone_and_comes_back(
    zk_server: ZooKeeperServer, client: KazooClient
) -> None:
    states = told(client)
    client.create("/held", ephemeral=True)
    with zk_server.faults.disk_full():
        assert states.get(timeout=PATIENCE_S) == KazooState.SUSPENDED
    assert states.get(timeout=PATIENCE_S) == KazooState.CONNECTED
    assert client.retry(client.exists, "/held") is not None
    zk_server.faults.disconnect()
    assert states.get(timeout=PATIENCE_S) == KazooState.SUSPENDED


def test_a_fault_that_nobody_met_says_so(zk_server: ZooKeeperServer) -> None:
    fault = zk_server.faults.drop("create")
    with pytest.raises(NotMet, match="drop create: met 0 times"):
        fault.wait_until_met(0.0)
