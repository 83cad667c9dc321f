"""What users of etcd test: keys, watches, leases, locks; with grpcio, and with python-etcd3 itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

import agreed
from agreed.errors import ConfigurationError
from agreed.testing import EtcdServer
from agreed.testing.faults import NotMet
from agreed.testing.history import NoHistory
from agreed.testing.server import NotLinearizable
from tests.acceptance.etcd.api import EtcdApi
from tests.acceptance.etcd.python_etcd3 import PLACE, install

PATIENCE_S = 30.0

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def api(etcd_server: EtcdServer) -> Iterator[EtcdApi]:
    with EtcdApi(etcd_server.address) as caller:
        yield caller


def refused(api: EtcdApi, name: str, **fields: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as problem:
        api.call(name, **fields)
    code: grpc.StatusCode = problem.value.code()
    return code


def test_a_lease_that_nobody_keeps_alive_ends_with_its_time(etcd_server: EtcdServer, api: EtcdApi) -> None:
    lease = api.call("LeaseGrant", TTL=30).ID
    api.call("Put", key=b"/services/a", value=b"here", lease=lease)
    with api.stream("Watch") as watch:
        watch.send(create_request={"key": b"/services/", "range_end": b"/services0"})
        assert watch.next().created
        with pytest.raises(AssertionError, match="still watched: /services/"):
            etcd_server.assert_no_leaked_watches(0.1)
        etcd_server.clock.advance(20)
        with api.stream("LeaseKeepAlive") as alive:
            alive.send(ID=lease)
            assert alive.next().TTL == 30
        etcd_server.clock.advance(20)
        assert api.call("LeaseTimeToLive", ID=lease).TTL == 10
        with pytest.raises(AssertionError, match="still there: /services/a"):
            etcd_server.assert_no_ephemerals_left()
        etcd_server.clock.advance(11)
        assert [event.kv.key for event in watch.next().events] == [b"/services/a"]
    assert api.call("Range", key=b"/services/a").count == 0
    etcd_server.assert_no_ephemerals_left()


def test_a_lock_goes_to_the_next_when_its_lease_is_over(etcd_server: EtcdServer, api: EtcdApi) -> None:
    ours, theirs = (api.call("LeaseGrant", TTL=ttl).ID for ttl in (10, 600))
    api.call("Lock", name=b"orders", lease=ours)
    with ThreadPoolExecutor(1) as thread:
        with etcd_server.inside("orders", "ours"):
            waiting = thread.submit(api.call, "Lock", timeout_s=PATIENCE_S, name=b"orders", lease=theirs)
            assert not waiting.done()
            etcd_server.clock.advance(11)
            assert waiting.result(PATIENCE_S).key.startswith(b"orders/")
        with pytest.raises(AssertionError, match="ours was inside of 'orders' when the lock was given"):
            etcd_server.assert_lock_never_shared("orders")


def test_each_test_begins_with_an_empty_server(etcd_server: EtcdServer, api: EtcdApi) -> None:
    assert etcd_server.contents() == {}
    assert etcd_server.sessions() == []
    assert api.call("Range", key=b"\0", range_end=b"\0").count == 0


def test_a_call_that_is_dropped_was_not_done_and_one_whose_reply_is_lost_was(
    etcd_server: EtcdServer, api: EtcdApi
) -> None:
    dropped = etcd_server.faults.drop("put", key="/orders/*")
    lost = etcd_server.faults.lose_reply("put", key="/orders/*")
    api.call("Put", key=b"/other", value=b"0")
    assert refused(api, "Put", key=b"/orders/1", value=b"1") is grpc.StatusCode.UNAVAILABLE
    assert etcd_server.contents() == {"/other": b"0"}
    assert refused(api, "Put", key=b"/orders/1", value=b"1") is grpc.StatusCode.UNAVAILABLE
    assert etcd_server.contents() == {"/orders/1": b"1", "/other": b"0"}
    assert (dropped.met, lost.met) == (1, 1)


def test_a_call_that_fails_says_why(etcd_server: EtcdServer, api: EtcdApi) -> None:
    etcd_server.faults.fail("txn", error="RESOURCE_EXHAUSTED", message="etcdserver: too many requests")
    etcd_server.faults.fail("get", times=2)
    assert refused(api, "Txn", success=[{"request_put": {"key": b"k"}}]) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert [refused(api, "Range", key=b"k") for _ in range(2)] == [grpc.StatusCode.UNAVAILABLE] * 2
    assert api.call("Range", key=b"k").count == 0


def test_a_call_that_is_delayed_lets_others_pass(etcd_server: EtcdServer, api: EtcdApi) -> None:
    late = etcd_server.faults.delay("put", seconds=5)
    with ThreadPoolExecutor(1) as thread:
        put = thread.submit(api.call, "Put", timeout_s=PATIENCE_S, key=b"k", value=b"late")
        late.wait_until_met()
        api.call("Put", key=b"k", value=b"early")
        etcd_server.clock.advance(5)
        put.result(PATIENCE_S)
    assert etcd_server.contents() == {"k": b"late"}
    etcd_server.assert_linearizable()


def test_a_server_that_is_paused_answers_when_it_goes_on(etcd_server: EtcdServer, api: EtcdApi) -> None:
    with ThreadPoolExecutor(1) as thread:
        with etcd_server.faults.paused():
            put = thread.submit(api.call, "Put", timeout_s=PATIENCE_S, key=b"k")
            assert etcd_server.contents() == {}
        put.result(PATIENCE_S)
    assert etcd_server.contents() == {"k": b""}


def test_a_full_disk_takes_nothing_and_gives_what_it_has(etcd_server: EtcdServer, api: EtcdApi) -> None:
    api.call("Put", key=b"k", value=b"v")
    with etcd_server.faults.disk_full():
        assert refused(api, "Put", key=b"k") is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert api.call("Range", key=b"k").kvs[0].value == b"v"
        assert len(api.call("Alarm").alarms) == 1
    api.call("Put", key=b"k", value=b"w")


def test_a_lease_can_be_ended_by_its_number(etcd_server: EtcdServer, api: EtcdApi) -> None:
    with pytest.raises(ConfigurationError, match="not just one"):
        etcd_server.faults.expire()
    leases = [api.call("LeaseGrant", TTL=30).ID for _ in range(2)]
    api.call("Put", key=b"k", lease=leases[1])
    etcd_server.faults.expire(leases[1])
    assert etcd_server.sessions() == leases[:1]
    assert etcd_server.contents() == {}


def test_what_nobody_watches_is_not_waited_for_for_ever(etcd_server: EtcdServer) -> None:
    with pytest.raises(NotMet, match="nobody watches /k"):
        etcd_server.wait_until_watched("/k", 0.0)


def test_words_that_mean_nothing_are_refused(etcd_server: EtcdServer) -> None:
    with pytest.raises(ConfigurationError, match="no request is called 'create'"):
        etcd_server.faults.drop("create")
    with pytest.raises(ConfigurationError, match="gRPC has no code"):
        etcd_server.faults.fail("put", error="NoNode")
    with pytest.raises(ConfigurationError, match="no model is called"):
        etcd_server.assert_linearizable("registers")


def test_a_cache_that_is_behind_is_found_by_the_judge(etcd_server: EtcdServer, api: EtcdApi) -> None:
    with pytest.raises(NoHistory):
        etcd_server.assert_linearizable("register")
    cached = b"0"
    api.call("Put", key=b"k", value=cached)
    with etcd_server.history.operation("writer", "write", "1"):
        api.call("Put", key=b"k", value=b"1")
    with etcd_server.history.operation("reader", "read") as operation:
        operation.result = api.call("Range", key=b"k").kvs[0].value.decode()
    etcd_server.assert_linearizable("register", initial="0")
    with etcd_server.history.operation("reader", "read") as operation:
        operation.result = cached.decode()
    with pytest.raises(NotLinearizable, match="linearizable register"):
        etcd_server.assert_linearizable("register", initial="0")
    etcd_server.assert_linearizable()


# Its lock looks first and watches then, and waits for ever where the other is let go in between: so it is
# waited for that it watches.
PYTHON_ETCD3 = """
import queue, sys, threading
sys.path[:0] = [{suite!r}]
sys.path += [{source!r}, *{libraries!r}]
import etcd3
import agreed.testing

with agreed.testing.etcd() as server:
    client = etcd3.client(host=server.host, port=server.port)

    lease = client.lease(30)
    client.put("/services/a", "here", lease=lease)
    events, cancel = client.watch_prefix("/services/")
    server.clock.advance(20)
    lease.refresh()
    server.clock.advance(20)
    assert client.get("/services/a")[0] == b"here"
    server.clock.advance(20)
    assert isinstance(next(events), etcd3.events.DeleteEvent)
    cancel()
    assert client.get("/services/a")[0] is None

    assert client.transaction(
        compare=[client.transactions.version("/leader") == 0],
        success=[client.transactions.put("/leader", "me", lease=client.lease(10))],
        failure=[],
    )[0]
    assert not client.put_if_not_exists("/leader", "you")
    heard = queue.SimpleQueue()
    watch_id = client.add_watch_callback("/leader", heard.put)
    client.replace("/leader", "me", "still me")
    assert [event.value for event in heard.get(timeout=30).events] == [b"still me"]
    client.cancel_watch(watch_id)

    once = threading.Thread(target=lambda: heard.put(client.watch_once("/config", timeout=30)))
    once.start()
    server.wait_until_watched("/config", 30)
    client.put("/config", "new")
    once.join(30)
    assert heard.get(timeout=30).value == b"new"
    server.assert_no_leaked_watches()

    members = [client.lease(ttl) for ttl in (10, 100)]
    for number, lease in enumerate(members):
        client.put(f"/members/{{number}}", "", lease=lease)
    assert len(list(client.get_prefix("/members/"))) == 2
    server.clock.advance(11)
    assert [meta.key for _, meta in client.get_prefix("/members/")] == [b"/members/1"]
    assert members[0].remaining_ttl == -1 and members[1].remaining_ttl == 89
    members[1].revoke()
    client.delete("/config")
    client.delete("/leader")    # `replace` has taken it from its lease
    assert server.contents() == {{}}

    with client.lock("orders", ttl=10):
        pass
    held, waiting = client.lock("orders", ttl=10), client.lock("orders", ttl=600)
    assert held.acquire(timeout=None)
    thread = threading.Thread(target=waiting.acquire, kwargs=dict(timeout=None))
    thread.start()
    server.wait_until_watched("/locks/orders", 30)
    server.clock.advance(11)
    thread.join(30)
    assert waiting.is_acquired() and not held.is_acquired()
    assert waiting.release()

    fault = server.faults.lose_reply("put")
    try:
        client.put("/counter", "1")
    except etcd3.exceptions.ConnectionFailedError:
        pass
    assert fault.met == 1 and server.contents() == {{"/counter": b"1"}}
    server.assert_no_ephemerals_left()
    client.close()
print("as wanted")
"""


def test_python_etcd3_needs_no_sleep() -> None:
    """It wants a protobuf of its own, so it has an environment of its own; ours is put behind that."""
    program = PYTHON_ETCD3.format(
        suite=str(install()),
        source=str(Path(agreed.__file__).parents[1]),
        libraries=[entry for entry in sys.path if entry.endswith("-packages")],
    )
    told = subprocess.run(
        [str(PLACE / "venv" / "bin" / "python"), "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.stdout == "as wanted\n", told.stderr
