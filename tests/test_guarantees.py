"""What docs/guarantees.md promises to a client, seen by a client: kazoo on three real nodes.

The rules behind these promises have their own tests, beside the modules that keep them; here is what is left
of them at the far end of a socket.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError,
    NodeExistsError,
    NoNodeError,
    RolledBackError,
)
from kazoo.protocol.states import KazooState, KeeperState

from agreed.cli.playground import Playground

DEADLINE_S = 40.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """Local reads, as ZooKeeper has them."""
    with Playground(tmp_path_factory.mktemp("local"), flags=["--read-only-mode"]) as playground:
        playground.start_all()
        playground.wait_until_serving(60)
        yield playground


@pytest.fixture(scope="module")
def linearizable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with Playground(tmp_path_factory.mktemp("linearizable"), flags=["--linearizable-reads"]) as playground:
        playground.start_all()
        playground.wait_until_serving(60)
        yield playground


@pytest.fixture
def connect() -> Iterator[Callable[..., KazooClient]]:
    clients: list[KazooClient] = []

    def connected(hosts: str, **options: object) -> KazooClient:
        client = KazooClient(hosts, **{"timeout": 10.0, **options})
        clients.append(client)
        client.start(timeout=20)
        return client

    yield connected
    for client in clients:
        client.stop()
        client.close()


def wait_until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.02)


def address(cluster: Playground, name: str) -> str:
    return cluster.places[name].client_address


Connect = Callable[..., KazooClient]


def test_after_sync_a_read_sees_every_write_acknowledged_before_anywhere(
    cluster: Playground, connect: Connect
) -> None:
    writer, reader = connect(address(cluster, "n1")), connect(address(cluster, "n2"))
    writer.create("/synced", b"")
    for number in range(200):
        writer.set("/synced", str(number).encode())
        reader.sync("/synced")
        assert int(reader.get("/synced")[0]) == number


def test_with_linearizable_reads_a_read_sees_every_write_acknowledged_before_anywhere(
    linearizable: Playground, connect: Connect
) -> None:
    clients = [connect(address(linearizable, name)) for name in linearizable.places]
    clients[0].create("/linearizable", b"")
    for number in range(200):
        writer, reader = clients[number % 3], clients[(number + 1) % 3]
        writer.set("/linearizable", str(number).encode())
        assert int(reader.get("/linearizable")[0]) == number


def test_a_session_never_reads_older_than_it_has_written_or_read(
    cluster: Playground, connect: Connect
) -> None:
    client = connect(address(cluster, "n3"))
    client.create("/own", b"")
    seen = 0
    for number in range(200):
        _, stat = client.get("/own")
        assert stat.mzxid >= seen
        seen = client.set("/own", str(number).encode()).mzxid
        assert int(client.get("/own")[0]) == number


def test_of_those_who_set_the_same_version_one_succeeds(cluster: Playground, connect: Connect) -> None:
    clients = [connect(address(cluster, name)) for name in cluster.places]
    clients[0].create("/version", b"")
    asked = [client.set_async("/version", b"x", version=0) for client in clients]
    for reply in asked:
        reply.wait(DEADLINE_S)
    refused = [reply.exception for reply in asked if not reply.successful()]
    assert [type(refusal) for refusal in refused] == [BadVersionError] * 2
    assert clients[0].get("/version")[1].version == 1


def test_a_transaction_happens_as_a_whole_or_not_at_all(cluster: Playground, connect: Connect) -> None:
    client = connect(cluster.hosts)
    client.create("/whole", b"")
    transaction = client.transaction()
    transaction.create("/whole/one", b"")
    transaction.check("/whole", 7)
    transaction.create("/whole/two", b"")
    outcomes = transaction.commit()
    assert [type(outcome) for outcome in outcomes[:2]] == [RolledBackError, BadVersionError]
    assert client.get_children("/whole") == []
    transaction = client.transaction()
    transaction.create("/whole/one", b"")
    transaction.create("/whole/two", b"")
    transaction.commit()
    assert client.exists("/whole/one").czxid == client.exists("/whole/two").czxid


def test_an_event_comes_before_the_new_value_can_be_read(cluster: Playground, connect: Connect) -> None:
    writer, reader = connect(address(cluster, "n1")), connect(address(cluster, "n2"))
    writer.create("/watched", b"0")
    order: list[str] = []
    reader.sync("/watched")
    reader.get("/watched", watch=lambda event: order.append("event"))
    writer.set("/watched", b"1")
    wait_until(lambda: reader.get("/watched")[0] == b"1", "the new value is read")
    order.append("value")
    wait_until(lambda: len(order) == 2, "both were seen")
    assert order == ["event", "value"]


def test_what_hangs_on_a_session_goes_with_it_for_everybody_at_once(
    cluster: Playground, connect: Connect
) -> None:
    owner, other = connect(address(cluster, "n1")), connect(address(cluster, "n2"))
    owner.create("/held", b"")
    for number in range(3):
        owner.create(f"/held/{number}", b"", ephemeral=True)
    other.sync("/held")
    assert len(other.get_children("/held")) == 3
    owner.stop()
    seen: list[int] = []
    wait_until(lambda: seen.append(len(other.get_children("/held"))) or seen[-1] < 3, "the session ended")
    assert seen[-1] == 0, "part of what hung on the session outlived it"


def test_a_session_is_taken_up_on_another_node_and_keeps_what_hangs_on_it(
    cluster: Playground, connect: Connect
) -> None:
    first = connect(address(cluster, "n1"))
    first.create("/moving", b"", ephemeral=True)
    session = first.client_id
    # As soon as it has noticed that its session is elsewhere it would take it back.
    first.set_hosts("127.0.0.1:1")
    second = connect(address(cluster, "n2"), client_id=session)
    assert second.client_id[0] == session[0]
    assert second.exists("/moving").ephemeralOwner == session[0]


def test_a_session_is_not_taken_up_without_its_password(cluster: Playground, connect: Connect) -> None:
    first = connect(address(cluster, "n1"))
    first.create("/guarded", b"", ephemeral=True)
    thief = connect(address(cluster, "n2"), client_id=(first.client_id[0], b"x" * 16))
    assert thief.client_id[0] != first.client_id[0]
    assert first.exists("/guarded").ephemeralOwner == first.client_id[0]


def test_names_in_sequence_are_given_once(cluster: Playground, connect: Connect) -> None:
    clients = [connect(address(cluster, name)) for name in cluster.places]
    clients[0].create("/sequence", b"")
    asked = [clients[number % 3].create_async("/sequence/n", b"", sequence=True) for number in range(90)]
    names = [reply.get(timeout=DEADLINE_S) for reply in asked]
    assert len(set(names)) == 90
    assert sorted(names)[-1] == "/sequence/n0000000089"


def test_what_was_refused_did_not_happen(cluster: Playground, connect: Connect) -> None:
    client = connect(cluster.hosts)
    client.create("/refused", b"before")
    with pytest.raises(NodeExistsError):
        client.create("/refused", b"after")
    with pytest.raises(BadVersionError):
        client.delete("/refused", version=3)
    with pytest.raises(NoNodeError):
        client.create("/refused/a/b", b"")
    assert client.get("/refused")[0] == b"before"


def test_in_a_minority_writes_fail_fast_reads_go_on_where_asked_and_nothing_is_lost(
    cluster: Playground, connect: Connect
) -> None:
    client = connect(cluster.hosts)
    client.create("/minority", b"before")
    client.sync("/minority")
    survivor, *others = cluster.places
    for name in others:
        cluster.kill(name)
    try:
        asked = client.set_async("/minority", b"during")
        wait_until(lambda: client.state == KazooState.SUSPENDED, "the client is told that it is on its own")
        assert not asked.successful()
        reader = connect(address(cluster, survivor), read_only=True)
        assert reader.client_state == KeeperState.CONNECTED_RO
        assert reader.get("/minority")[0] == b"before"
    finally:
        client.stop()
        for name in others:
            cluster.start(name)
        cluster.wait_until_serving(60)
    back = connect(cluster.hosts)
    back.sync("/minority")
    assert back.get("/minority")[0] in (b"before", b"during"), "the write without an answer is there or not"


def test_acknowledged_writes_survive_all_nodes(cluster: Playground, connect: Connect) -> None:
    client = connect(cluster.hosts)
    client.create("/surviving", b"")
    for number in range(100):
        client.create(f"/surviving/{number}", b"")
    for name in cluster.places:
        cluster.kill(name)
    cluster.start_all()
    cluster.wait_until_serving(60)
    again = connect(cluster.hosts)
    assert len(again.get_children("/surviving")) == 100
