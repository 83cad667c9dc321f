"""Connections of etcd clients: what they speak, and that each call ends, whatever happens to the node."""

from __future__ import annotations

import gc
import weakref

import bcrypt
import msgspec
import pytest

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.raft.messages import AppendEntries
from agreed.replica import events
from agreed.replica.etcd import front, grpc_connection
from agreed.replica.etcd.calls import LATER, Call
from agreed.replica.etcd.waiting import CommandTicket
from agreed.replica.settings import Settings
from agreed.store.alarms import AlarmKind
from agreed.store.commands import AddRole, AddUser, Batch, EnableAuth, GrantRole, Payload, Put
from agreed.store.machine import Restorer
from agreed.wire.etcd import errors, protobuf
from agreed.wire.etcd.messages import (
    LeaderRequest,
    LeaseKeepAliveRequest,
    LockRequest,
    PutRequest,
    RangeRequest,
    StatusRequest,
    WatchCreateRequest,
    WatchRequest,
)
from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.peer.messages import Forward
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Caller
from tests.replica.etcd.speaking import GrpcClient


def without_a_leader() -> Alone:
    return Alone(members=("n1", "n2", "n3"))


def follow(node: Alone, leader: str, term: int) -> None:
    entries = [Entry(1, term, EntryKind.NOTHING, b"")]
    for commit in (0, 1):
        node.turn(events.PeerMessage(leader, AppendEntries(term, 0, 0, commit, 1, list(entries))))


def writes(node: Alone) -> list[bytes]:
    return [data for effects in node.effects for _, data in effects.write]


def test_the_preface_of_http2_begins_grpc_however_it_is_cut() -> None:
    node = Alone()
    client = GrpcClient(node)
    stream = client.begin("KV/Put", PutRequest(b"a", b"1"))
    client.grpc.end(stream)
    said = client.grpc.take()
    for position in range(len(said)):
        node.turn(events.EtcdBytes(client.id, said[position : position + 1]))
    assert client.answer(stream).header.revision == 2
    assert client.statuses[stream] == OK


def test_anything_else_goes_to_the_gateway() -> None:
    node = Alone()
    client = GrpcClient(node)
    client.receive_data = lambda data: []  # type: ignore[method-assign]
    node.turn(events.EtcdBytes(client.id, b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n"))
    assert b"etcdserver" in b"".join(writes(node))


def test_what_nobody_has_heard_of_is_told_in_grpcs_words() -> None:
    client = GrpcClient(Alone())
    for path, status in (
        ("/etcdserverpb.KV/Nope", errors.unknown_method("etcdserverpb.KV", "Nope")),
        ("/nope.X/Y", errors.unknown_service("nope.X")),
    ):
        stream = client.grpc.call(path, {}, b"")
        client.say()
        assert client.statuses[stream] == status


def test_a_message_that_is_none_fails_its_call_and_no_other() -> None:
    client = GrpcClient(Alone())
    stream = client.grpc.call("/etcdserverpb.KV/Put", {}, b"\x0a\xff")
    client.say()
    assert client.statuses[stream].code is Code.INTERNAL
    assert client.answer(client.call("KV/Put", PutRequest(b"a"))).header.revision == 2


def test_all_that_a_turn_brings_to_a_connection_is_one_write() -> None:
    node = Alone()
    client = GrpcClient(node)
    client.call("KV/Put", PutRequest(b"a"))
    before = client.writes
    streams = [client.begin("KV/Range", RangeRequest(b"a")) for _ in range(20)]
    for stream in streams:
        client.grpc.end(stream)
    client.say()
    assert all(client.answer(stream).count == 1 for stream in streams)
    assert client.writes == before + 1


def test_a_call_fails_when_its_deadline_has_passed() -> None:
    node = without_a_leader()
    client = GrpcClient(node)
    stream = client.call("KV/Put", PutRequest(b"a"), timeout_ms=400)
    node.pass_ms(300)
    assert stream not in client.statuses
    node.pass_ms(400)
    assert client.statuses[stream] == errors.DEADLINE_EXCEEDED


def test_deadlines_of_years_leave_nothing_behind() -> None:
    """Each had a bucket of its own until its time would have come."""
    node = Alone()
    caller = Caller(node)
    for number in range(3_000):
        read = RangeRequest(b"a", serializable=True)
        assert caller.begin("KV/Range", read, timeout_ms=10_000_000 * number).reply
    assert len(node.replica.etcd._deadlines._buckets) < 1_000


def test_a_far_deadline_is_kept_as_well_as_a_near_one() -> None:
    node = Alone()
    caller = Caller(node)
    asked = caller.ask("Watch/Watch", WatchRequest(), timeout_ms=150_000)
    node.pass_ms(149_900, step_ms=100)
    assert asked.status is None
    node.pass_ms(300)
    assert asked.status == errors.DEADLINE_EXCEEDED


def test_who_waits_for_ever_is_told_after_seven_seconds() -> None:
    node = without_a_leader()
    client = GrpcClient(node)
    written = client.call("KV/Put", PutRequest(b"a"))
    read = client.call("KV/Range", RangeRequest(b"a"))
    stale = client.call("KV/Range", RangeRequest(b"a", serializable=True))
    assert client.answer(stale).count == 0
    node.pass_ms(6_500)
    assert written not in client.statuses
    assert read not in client.statuses
    node.pass_ms(1_000)
    assert client.statuses[written] == errors.WRITE_TIMEOUT
    assert client.statuses[read] == errors.TIMEOUT


def test_who_asks_for_a_leader_is_told_at_once_that_there_is_none() -> None:
    client = GrpcClient(without_a_leader())
    stream = client.call("KV/Range", RangeRequest(b"a"), {"hasleader": "true"})
    assert client.statuses[stream] == errors.NO_LEADER


def test_a_stream_that_asks_for_a_leader_waits_for_an_election_and_no_longer() -> None:
    node = without_a_leader()
    client = GrpcClient(node)
    create = WatchRequest(create_request=WatchCreateRequest(b"k"))
    metadata = {"hasleader": "true"}
    stream = client.begin("Watch/Watch", create, metadata=metadata)
    client.say()
    assert client.statuses == {}, "it comes from a leader that has stopped a moment ago"
    node.pass_ms(5_500)
    assert client.statuses == {stream: errors.NO_LEADER}
    late = client.begin("Watch/Watch", create, metadata=metadata)
    client.say()
    assert client.statuses[late] == errors.NO_LEADER


def test_a_stream_that_asks_for_a_leader_ends_when_he_is_lost() -> None:
    node = without_a_leader()
    follow(node, "n2", 1)
    client = GrpcClient(node)
    ended = client.begin("Lease/LeaseKeepAlive", LeaseKeepAliveRequest(7), metadata={"hasleader": "true"})
    stays = client.begin("Lease/LeaseKeepAlive", LeaseKeepAliveRequest(7))
    client.say()
    node.pass_ms(5_500)
    assert client.statuses == {ended: errors.NO_LEADER}
    assert stays in client.answers


def test_what_a_client_asked_for_is_not_answered_to_one_that_is_gone() -> None:
    node = Alone()
    client = GrpcClient(node)
    node.saving = False
    client.call("KV/Put", PutRequest(b"a"))
    before = client.writes
    node.turn(events.EtcdClosed(client.id))
    node.saving = True
    node.turn()
    assert client.writes == before
    assert node.replica.store.flat.get(b"a") is not None


def test_a_cancelled_call_is_done_all_the_same_and_nobody_is_told() -> None:
    node = Alone()
    client = GrpcClient(node)
    node.saving = False
    stream = client.call("KV/Put", PutRequest(b"a"))
    client.grpc.cancel(stream)
    client.say()
    node.saving = True
    node.turn()
    assert client.answers[stream] == []
    assert node.replica.store.flat.get(b"a") is not None


def test_commands_whose_results_a_snapshot_has_swallowed_have_an_unknown_outcome() -> None:
    node = without_a_leader()
    node.replica.store.revision = 1
    follow(node, "n2", 1)
    client = GrpcClient(node)
    stream = client.call("KV/Put", PutRequest(b"a"))
    (lost,) = node.replica.requests.forget(1)
    assert isinstance(lost, CommandTicket)
    lost.lost()
    node.turn()
    assert client.statuses[stream] == errors.TIMEOUT_CONNECTION_LOST


def test_streams_hear_that_their_node_stops_and_so_do_calls_that_it_cannot_answer_any_more() -> None:
    """Without a status of their own Go's clients would take them for over, and not go on elsewhere."""
    for event in (events.StopRequested(), events.DiskStopped("it is full")):
        client = GrpcClient(Alone())
        create = WatchRequest(create_request=WatchCreateRequest(b"k"))
        watching = client.begin("Watch/Watch", create)
        begun = client.begin("Lease/LeaseKeepAlive")
        client.call("Lock/Lock", LockRequest(b"l"))
        waiting = client.call("Lock/Lock", LockRequest(b"l"))
        client.node.turn(event)
        client.node.pass_ms(20_000)
        assert [client.statuses[each] for each in (watching, begun, waiting)] == [errors.STOPPED] * 3
        assert client.closed


def test_a_node_that_stops_answers_what_is_under_way_and_takes_no_more() -> None:
    node = Alone()
    client = GrpcClient(node)
    client.call("KV/Put", PutRequest(b"a"))
    node.saving = False
    stream = client.call("KV/Put", PutRequest(b"b"))
    node.turn(events.StopRequested())
    assert client.told_to_go
    client.say()
    node.saving = True
    node.turn()
    assert client.statuses[stream] == OK
    node.turn()
    assert client.closed


def test_a_node_with_a_problem_lets_its_clients_go() -> None:
    node = Alone()
    client = GrpcClient(node)
    client.call("KV/Put", PutRequest(b"a"))
    node.turn(events.DiskStopped("it burns"))
    assert client.closed
    assert GrpcClient(node).closed


def test_who_asks_faster_than_the_cluster_answers_is_not_read_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "MAX_TICKETS", 4)
    node = Alone()
    client = GrpcClient(node)
    node.saving = False
    for number in range(5):
        client.call("KV/Put", PutRequest(b"%d" % number))
    assert client.paused
    node.saving = True
    node.turn()
    assert not client.paused


def test_who_is_gone_is_not_kept_for_being_read_from_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that come again and again while nobody answers had left each of their connections behind."""
    monkeypatch.setattr(front, "MAX_TICKETS", 0)
    node = Alone()
    node.saving = False
    for _ in range(3):
        client = GrpcClient(node)
        for _ in range(2):
            client.grpc.end(client.begin("KV/Put", PutRequest(b"a")))
        said = client.grpc.take()
        node.turn(*[events.EtcdBytes(client.id, part) for part in (said[:-5], said[-5:])])
        assert [each for effects in node.effects for each in effects.pause].count(client.id) == 1
        node.turn(events.EtcdClosed(client.id))
    assert not node.replica.etcd._paused
    node.saving = True
    assert node.turn().resume == []


def test_a_write_that_waits_for_a_leader_keeps_nobody_from_reading_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(front, "MAX_WAITING_BYTES", 1_000)
    node = without_a_leader()
    node.replica.store.revision = 1
    client = GrpcClient(node)
    client.call("KV/Put", PutRequest(b"a"))
    for _ in range(50):
        read = client.call("KV/Range", RangeRequest(b"a" * 100, serializable=True))
        assert client.statuses[read] == OK
    client.call("KV/Put", PutRequest(b"a", bytes(1_000)))
    assert client.paused
    node.pass_ms(8_000)
    assert not client.paused


@pytest.mark.parametrize("revision", [0, 1])
def test_a_write_that_was_given_up_before_it_left_is_not_done_later(revision: int) -> None:
    """A node that comes back after an hour would do its clients' old writes over newer ones."""
    node = without_a_leader()
    node.replica.store.revision = revision
    caller = Caller(node)
    early = caller.ask("KV/Put", PutRequest(b"a"))
    hasty = caller.ask("KV/Put", PutRequest(b"b"), timeout_ms=100)
    node.pass_ms(5_000)
    later = caller.ask("KV/Put", PutRequest(b"c"))
    node.pass_ms(3_000)
    assert (early.status, hasty.status) == (errors.WRITE_TIMEOUT, errors.DEADLINE_EXCEEDED)
    assert later.status is None
    node.replica.store.revision = 1
    follow(node, "n2", 1)
    forwarded = [
        command
        for effects in node.effects
        for _, message in effects.send
        if isinstance(message, Forward)
        for command in msgspec.msgpack.decode(message.batch, type=Batch).commands
    ]
    assert forwarded == [Put(b"c", b"")]


def test_what_a_client_has_not_taken_goes_when_it_goes() -> None:
    """A watch whose client needs a leader, or progress, had kept all that until a thousand of them were
    gone, or for ten minutes."""
    node = Alone()
    client = GrpcClient(node)
    client.receive_data = lambda data: []  # type: ignore[method-assign]
    watch = WatchCreateRequest(b"a", progress_notify=True)
    client.begin("Watch/Watch", WatchRequest(create_request=watch), metadata={"hasleader": "true"})
    client.say()
    Caller(node).ask("KV/Put", PutRequest(b"a", bytes(1_400_000)))
    (connection,) = node.replica.etcd._connections.values()
    assert isinstance(connection, grpc_connection.GrpcConnection)
    server = weakref.ref(connection._server)
    assert connection._server.untaken_bytes > 300_000
    node.turn(events.EtcdClosed(client.id))
    gc.collect()
    assert server() is None
    node.pass_ms(1_000_000, step_ms=1_000)


def test_garbage_ends_the_connection() -> None:
    node = Alone()
    client = GrpcClient(node)
    client.call("KV/Put", PutRequest(b"a"))
    client.say(b"\xff\xff\xff\x04\x00\x00\x00\x00\x00" + bytes(100))
    assert client.closed


def test_what_does_not_fit_is_refused_and_rings_the_alarm() -> None:
    node = Alone(Settings(etcd_quota_bytes=1_000))
    client = GrpcClient(node)
    client.call("KV/Put", PutRequest(b"a", bytes(400)))
    stream = client.call("KV/Put", PutRequest(b"b", bytes(400)))
    assert client.statuses[stream] == errors.NO_SPACE
    assert AlarmKind.NO_SPACE in node.replica.store.alarms
    # By now all refuse, even what would fit.
    assert client.statuses[client.call("KV/Put", PutRequest(b"c"))] == errors.NO_SPACE
    assert client.answer(client.call("KV/Range", RangeRequest(b"a"))).count == 1


def test_what_a_stream_says_before_it_is_known_who_calls_is_kept() -> None:
    """A login on another node just now: this one has to ask the cluster about the token first."""
    node = Alone()
    etcd = node.replica.etcd
    waiting = []

    def later(call: Call, request: object) -> Status:
        waiting.append((call, request))
        return LATER

    etcd.admit = later
    client = GrpcClient(node)
    stream = client.begin("Lease/LeaseKeepAlive", *[LeaseKeepAliveRequest(number) for number in (1, 2, 3)])
    client.grpc.end(stream)
    client.say()
    assert client.answers[stream] == []
    ((call, request),) = waiting
    etcd.admitted(call, request)
    node.turn()
    assert [each.ID for each in client.answers[stream]] == [1, 2, 3]
    assert client.statuses[stream] == OK


def test_what_is_said_to_nobody_is_not_kept_without_end() -> None:
    node = Alone()
    etcd = node.replica.etcd
    client = GrpcClient(node)
    once = client.begin("Election/Observe", *[LeaderRequest(bytes(5_000)) for _ in range(9)])
    client.say()
    ((connection,),) = (etcd._connections.values(),)
    assert isinstance(connection, grpc_connection.GrpcConnection)
    assert connection._calls[once].early is None
    etcd.admit = lambda call, request: LATER
    create = WatchRequest(create_request=WatchCreateRequest(bytes(500_000)))
    stream = client.begin("Watch/Watch", *[create] * 9)
    for _ in range(20):
        client.say()
    assert stream not in client.statuses
    client.grpc.send(stream, protobuf.encode(create))
    for _ in range(20):
        client.say()
    assert client.statuses[stream] == errors.TOO_MANY_REQUESTS


def test_who_asks_for_much_and_takes_nothing_is_not_given_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_connection, "UNTAKEN_MOST_BYTES", 300_000)
    node = Alone()
    client = GrpcClient(node)
    client.call("KV/Put", PutRequest(b"a", bytes(1_000_000)))
    # Far beyond the window of the connection, and its client opens none.
    client.receive_data = lambda data: []  # type: ignore[method-assign]
    for _ in range(9):
        client.call("KV/Range", RangeRequest(b"a"))
    counters = node.replica.etcd.counters
    assert counters.ended["/etcdserverpb.KV/Range", Code.UNKNOWN] >= 3
    client.call("KV/Put", PutRequest(b"b", b"done"))
    assert node.replica.store.flat.get(b"b") is not None
    assert counters.ended["/etcdserverpb.KV/Put", Code.UNKNOWN] == 1, "it may have been done"


def test_a_node_that_was_started_again_answers_when_it_has_applied_what_is_on_its_disk() -> None:
    """Else it would tell who can live with old answers that there is nothing, and that anybody may read."""
    payload = msgspec.msgpack.encode(Payload(1_000, [Batch("n9.1", 1, 1, [Put(b"a", b"1")])]))
    log = [Entry(1, 1, EntryKind.NOTHING, b""), Entry(2, 1, EntryKind.PAYLOAD, payload)]
    node = Alone(members=("n1", "n2", "n3"), log=log)
    client = GrpcClient(node)
    stale = client.call("KV/Range", RangeRequest(b"a", serializable=True))
    status = client.call("Maintenance/Status", StatusRequest())
    assert client.answers[stale] == []
    header = client.answer(status).header
    assert (header.member_id, header.revision) == (1, 1)
    node.turn(events.PeerMessage("n2", AppendEntries(2, 2, 1, 2, 1, [])))
    later = client.call("KV/Range", RangeRequest(b"a", serializable=True))
    assert client.answer(later).count == 1
    node.pass_ms(8_000)
    assert client.statuses[stale] == errors.TIMEOUT


def test_a_node_that_was_started_again_tells_its_status_to_users_alone_where_there_are_any() -> None:
    """That there are stands in its newest snapshot, which is taken as soon as they count."""
    node = Alone()
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4))
    for command in (AddUser("root", hashed), AddRole("root"), GrantRole("root", "root"), EnableAuth()):
        node.replica.submit(command)
    node.pass_ms(300)
    restorer = Restorer()
    effects = [effect for effects in node.effects for effect in effects.snapshot]
    while not isinstance(effects[-1], events.SnapshotPiece) or not effects[-1].last:
        effects += node.turn(events.SnapshotPieceWritten()).snapshot
    for piece in effects:
        if isinstance(piece, events.SnapshotPiece):
            restorer.feed(piece.data)
    log = [Entry(1, 1, EntryKind.NOTHING, b"")]
    started = Alone(members=("n1", "n2", "n3"), log=log)
    started.replica.store = restorer.finish()
    client = GrpcClient(started)
    assert client.statuses[client.call("Maintenance/Status", StatusRequest())] == errors.USER_EMPTY


def test_nobody_puts_anything_at_the_revision_that_is_told_where_there_is_none_yet() -> None:
    """Found by the simulator: a put was faster than the agreement on the members, and whoever watched from
    the revision that he had been told missed it."""
    node = Alone(members=("n1", "n2"))
    caller = Caller(node)
    read = caller.ask("KV/Range", RangeRequest(b"a", serializable=True)).reply
    assert read.header.revision == 1
    caller.begin("KV/Put", PutRequest(b"a"))
    assert not node.replica.requests.tickets
    node.replica.store.revision = 1
    node.replica._apply_agreed()
    assert len(node.replica.requests.tickets) == 1
