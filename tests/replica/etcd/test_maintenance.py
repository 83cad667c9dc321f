"""What operators ask of one member: its status, alarms, hashes, a snapshot, another leader."""

from __future__ import annotations

import hashlib
import struct

import pytest

from agreed.errors import CorruptData
from agreed.replica.etcd.backup import buckets_of, store_of
from agreed.replica.settings import Settings
from agreed.store.alarms import AlarmKind
from agreed.store.commands import (
    AddRole,
    AddUser,
    Batch,
    Command,
    Create,
    EnableAuth,
    GrantLease,
    GrantPermission,
    GrantRole,
    IssueToken,
    Put,
    SetAlarm,
)
from agreed.store.invariants import check
from agreed.store.machine import Store
from agreed.wire.etcd import errors
from agreed.wire.etcd.bbolt import Bucket, Reading, Writing, bucket
from agreed.wire.etcd.messages import (
    AlarmMember,
    AlarmRequest,
    CompactionRequest,
    DefragmentRequest,
    DeleteRangeRequest,
    DowngradeRequest,
    HashKVRequest,
    HashRequest,
    KeyValue,
    LeaseGrantRequest,
    Member,
    MoveLeaderRequest,
    PutRequest,
    RangeRequest,
    SnapshotRequest,
    StatusRequest,
)
from agreed.wire.etcd.protobuf import encode
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Caller
from tests.replica.etcd.together import Together

GET, ACTIVATE, DEACTIVATE = 0, 1, 2
NONE, NO_SPACE, CORRUPT = 0, 1, 2


def caller(settings: Settings | None = None) -> Caller:
    node = Alone(settings or Settings(cluster=77, etcd_client_urls=("http://127.0.0.1:2379",)))
    node.pass_ms(300)
    return Caller(node)


# --- status and leadership --------------------------------------------------------------------------------


def test_each_member_tells_its_own_status_and_the_same_leader() -> None:
    nodes = Together("n1", "n2", "n3")
    nodes.caller("n1").ask("KV/Put", PutRequest(b"k", bytes(5_000)))
    told = {name: nodes.caller(name).ask("Maintenance/Status", StatusRequest()).reply for name in nodes.nodes}
    leader = nodes.replica(nodes.leader).identity
    for name, status in told.items():
        assert status.header.member_id == nodes.replica(name).identity
        assert (status.leader, status.errors, status.isLearner) == (leader, (), False)
        assert status.raftAppliedIndex == status.raftIndex > 0
        assert status.dbSize > 5_000
        assert all(part.isdigit() for part in status.version.split("."))


def test_without_a_leader_the_status_says_so() -> None:
    nodes = Together("n1", "n2", "n3")
    alone = nodes.follower
    nodes.cut |= nodes.nodes.keys() - {alone}
    nodes.pass_ms(5_000)
    status = nodes.caller(alone).ask("Maintenance/Status", StatusRequest()).reply
    assert (status.leader, status.errors) == (0, ("etcdserver: no leader",))


def test_leadership_moves_to_whom_the_leader_is_told() -> None:
    nodes = Together("n1", "n2", "n3")
    leader, target = nodes.leader, nodes.follower
    wish = MoveLeaderRequest(nodes.replica(target).identity)
    assert nodes.caller(target).ask("Maintenance/MoveLeader", wish).status == errors.NOT_LEADER
    at_leader = nodes.caller(leader)
    unknown = at_leader.ask("Maintenance/MoveLeader", MoveLeaderRequest(99))
    assert unknown.status == errors.BAD_LEADER_TRANSFEREE
    itself = MoveLeaderRequest(nodes.replica(leader).identity)
    assert at_leader.ask("Maintenance/MoveLeader", itself).reply.header is None
    moved = at_leader.ask("Maintenance/MoveLeader", wish)
    nodes.pass_ms(1_000)
    assert moved.reply.header is None
    assert nodes.leader == target


def test_leadership_that_does_not_move_is_told_as_a_failure() -> None:
    nodes = Together("n1", "n2", "n3")
    target = nodes.follower
    nodes.cut.add(target)
    wish = MoveLeaderRequest(nodes.replica(target).identity)
    asked = nodes.caller(nodes.leader).ask("Maintenance/MoveLeader", wish)
    nodes.pass_ms(4_000)
    assert asked.status == errors.LEADER_TRANSFER_TIMEOUT


# --- alarms and space -------------------------------------------------------------------------------------


def test_an_alarm_stands_until_it_is_taken_back() -> None:
    client = caller()
    raised = client.ask("Maintenance/Alarm", AlarmRequest(ACTIVATE, 5, NO_SPACE)).reply
    assert raised.alarms == (AlarmMember(5, NO_SPACE),)
    assert client.ask("Maintenance/Alarm", AlarmRequest(GET, 0, NONE)).reply.alarms == raised.alarms
    assert client.ask("Maintenance/Alarm", AlarmRequest(GET, 0, CORRUPT)).reply.alarms == ()
    status = client.ask("Maintenance/Status", StatusRequest()).reply
    assert status.errors == ("memberID:5 alarm:NOSPACE ",)
    assert client.ask("KV/Put", PutRequest(b"k", b"v")).status == errors.NO_SPACE
    assert client.ask("Lease/LeaseGrant", LeaseGrantRequest(60)).status == errors.NO_SPACE
    assert client.ask("KV/Range", RangeRequest(b"k")).reply.count == 0
    taken_back = client.ask("Maintenance/Alarm", AlarmRequest(DEACTIVATE, 5, NO_SPACE)).reply
    assert taken_back.alarms == raised.alarms
    assert client.ask("KV/Put", PutRequest(b"k", b"v")).reply


@pytest.mark.parametrize("action", [ACTIVATE, DEACTIVATE])
@pytest.mark.parametrize("kind", [NONE, 9])
def test_an_alarm_that_is_none_changes_nothing(action: int, kind: int) -> None:
    """Of such a request a real 3.4 dies, and again of its log whenever it is started."""
    client = caller()
    assert client.ask("Maintenance/Alarm", AlarmRequest(action, 0, kind)).reply.alarms == ()
    assert client.ask("Maintenance/Alarm", AlarmRequest(GET, 0, NONE)).reply.alarms == ()
    assert client.ask("Maintenance/Alarm", AlarmRequest(7, 0, NO_SPACE)).status == errors.UNKNOWN_METHOD


def test_where_the_quota_is_reached_an_alarm_stands_until_there_is_space_again() -> None:
    settings = Settings(etcd_quota_bytes=100_000)
    client = caller(settings)
    node = client.node
    for number in range(20):
        client.ask("KV/Put", PutRequest(b"k", bytes(10_000) + bytes([number])))
    refused = client.ask("KV/Put", PutRequest(b"k", bytes(10_000)))
    assert refused.status == errors.NO_SPACE
    standing = client.ask("Maintenance/Alarm", AlarmRequest()).reply.alarms
    assert standing == (AlarmMember(node.replica.identity, NO_SPACE),)
    assert client.ask("KV/DeleteRange", DeleteRangeRequest(b"other")).reply.deleted == 0
    # What is freed is enough: nobody has to take the alarm back by hand.
    client.ask("KV/Compact", CompactionRequest(node.replica.store.revision))
    node.pass_ms(5_000)
    assert client.ask("Maintenance/Alarm", AlarmRequest()).reply.alarms == ()
    assert client.ask("KV/Put", PutRequest(b"k", bytes(10_000))).reply


def test_who_is_refused_for_want_of_space_finds_the_alarm() -> None:
    client = caller(Settings(etcd_quota_bytes=1_000))
    node = client.node
    client.ask("KV/Put", PutRequest(b"k", bytes(700)))
    node.saving = False
    refused = client.begin("KV/Put", PutRequest(b"k", bytes(700)))
    node.turn()
    assert refused.status is None, "the alarm is not agreed upon yet"
    node.saving = True
    node.turn()
    assert refused.status == errors.NO_SPACE
    assert AlarmKind.NO_SPACE in node.replica.store.alarms


def test_an_alarm_of_an_operator_is_not_taken_back_unasked() -> None:
    client = caller(Settings(etcd_quota_bytes=100_000))
    client.ask("Maintenance/Alarm", AlarmRequest(ACTIVATE, client.node.replica.identity, NO_SPACE))
    client.node.pass_ms(5_000)
    assert len(client.ask("Maintenance/Alarm", AlarmRequest()).reply.alarms) == 1


# --- compaction unasked -----------------------------------------------------------------------------------


def test_history_older_than_the_period_is_forgotten() -> None:
    client = caller(Settings(etcd_auto_compaction_mode="periodic", etcd_auto_compaction_retention=10_000))
    history = client.node.replica.store.flat.history
    for number in range(40):
        client.ask("KV/Put", PutRequest(b"k", b"%d" % number))
        client.node.pass_ms(1_000)
    newest = client.node.replica.store.revision
    assert newest - 22 <= history.compacted <= newest - 10


def test_only_so_many_revisions_are_kept() -> None:
    client = caller(Settings(etcd_auto_compaction_mode="revision", etcd_auto_compaction_retention=5))
    for number in range(20):
        client.ask("KV/Put", PutRequest(b"k", b"%d" % number))
    client.node.pass_ms(301_000, step_ms=1_000)
    store = client.node.replica.store
    assert store.flat.history.compacted == store.revision - 5


def test_nothing_is_forgotten_where_nobody_asked_for_it() -> None:
    client = caller()
    client.ask("KV/Put", PutRequest(b"k", b"v"))
    client.node.pass_ms(700_000, step_ms=5_000)
    assert client.node.replica.store.flat.history.compacted == 0


# --- hashes, defragment, downgrade ------------------------------------------------------------------------


def test_members_that_hold_the_same_have_the_same_hash() -> None:
    nodes = Together("n1", "n2", "n3")
    for number in range(5):
        nodes.caller("n1").ask("KV/Put", PutRequest(b"k%d" % number, b"v"))
    newest = HashKVRequest()
    hashes = [nodes.caller(name).ask("Maintenance/HashKV", newest).reply.hash for name in nodes.nodes]
    assert len(set(hashes)) == 1
    before = nodes.caller("n2").ask("Maintenance/HashKV", HashKVRequest(3)).reply.hash
    assert before != hashes[0]
    nodes.caller("n1").ask("KV/Put", PutRequest(b"k", b"v"))
    assert nodes.caller("n3").ask("Maintenance/HashKV", HashKVRequest(3)).reply.hash == before
    assert nodes.caller("n3").ask("Maintenance/Hash", HashRequest()).reply.hash != hashes[0]


def test_a_hash_of_what_is_not_there_is_refused() -> None:
    client = caller()
    for _ in range(5):
        client.ask("KV/Put", PutRequest(b"k", b"v"))
    client.ask("KV/Compact", CompactionRequest(4))
    assert client.ask("Maintenance/HashKV", HashKVRequest(99)).status == errors.FUTURE_REVISION
    assert client.ask("Maintenance/HashKV", HashKVRequest(3)).status == errors.COMPACTED
    assert client.ask("Maintenance/HashKV", HashKVRequest()).reply.compact_revision == 4


def test_defragment_asks_for_one_checkpoint_however_often_it_is_asked_for() -> None:
    client = caller()
    client.ask("KV/Put", PutRequest(b"k", b"v"))
    for _ in range(5):
        assert client.ask("Maintenance/Defragment", DefragmentRequest()).reply.header is None
    assert sum(bool(effects.snapshot) for effects in client.node.effects) == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (DowngradeRequest(0, "x"), errors.DOWNGRADE_BAD_FORMAT),
        (DowngradeRequest(0, "3.1.0"), errors.DOWNGRADE_BAD_VERSION),
        (DowngradeRequest(1, "3.4.0"), errors.DOWNGRADE_BAD_VERSION),
        (DowngradeRequest(2), errors.DOWNGRADE_NOT_IN_PROGRESS),
        (DowngradeRequest(9), errors.UNKNOWN_METHOD),
    ],
)
def test_there_is_no_older_version_to_return_to(request_: DowngradeRequest, status: object) -> None:
    client = caller()
    assert client.ask("Maintenance/Downgrade", request_).status == status
    assert client.ask("Maintenance/Downgrade", DowngradeRequest(0, "3.4")).reply.version == "3.5.0"


# --- snapshots --------------------------------------------------------------------------------------------


def made(*commands: Command) -> Store:
    store = Store()
    store.begin(1_000)
    batch = Batch("n1", 1, 1, list(commands))
    store.admit(batch)
    for command in commands:
        store.execute(command, "n1")
        store.fresh.clear()
    return store


def through_a_file(store: Store) -> Store:
    data = b"".join(Writing(buckets_of(store, [Member(1, "n1")], 2, 3)).pieces())
    other = store_of(data)
    check(other)
    return other


def test_a_snapshot_is_a_bbolt_file_and_its_digest_in_blobs_that_count_down() -> None:
    client = caller()
    for number in range(300):
        client.ask("KV/Put", PutRequest(b"k%d" % number, bytes(1_000)))
    asked = client.begin("Maintenance/Snapshot", SnapshotRequest())
    client.ask("KV/Put", PutRequest(b"late", b""))
    client.node.pass_ms(500)
    *blobs, digest = asked.messages
    assert asked.status is not None
    assert asked.status.message == ""
    data = b"".join(each.blob for each in blobs)
    assert digest.blob == hashlib.sha256(data).digest()
    assert (len(data) + len(digest.blob)) % 512 == 32
    left = len(data)
    for each in blobs:
        left -= len(each.blob)
        assert (each.remaining_bytes, each.header) == (left, None)
        assert len(each.blob) <= 32 * 1024
    other = store_of(data)
    check(other)
    assert other.flat.get(b"k299") is not None
    assert other.flat.get(b"late") is None, "as it was when it was asked for"


def test_a_client_that_takes_nothing_is_sent_no_more() -> None:
    client = caller()
    for number in range(40):
        client.ask("KV/Put", PutRequest(b"k%d" % number, bytes(100_000)))
    client.backlog = lambda call: 10**9  # type: ignore[method-assign]
    asked = client.ask("Maintenance/Snapshot", SnapshotRequest())
    client.node.pass_ms(500)
    assert asked.messages == []
    asked.call.abandoned()
    client.node.pass_ms(500)
    assert not client.node.replica.etcd.busy


def test_keys_leases_users_and_alarms_survive_a_file() -> None:
    store = made(
        GrantLease(7, 60_000, b"", None),
        GrantLease(-9, 5_000, b"", None),
        Put(b"a", b"1"),
        Put(b"a", b"2", 7),
        Put(b"b", b"", -9),
        AddUser("root", b"$2a$10$hash"),
        AddUser("nobody", None),
        AddRole("r"),
        GrantPermission("r", 2, b"p/", b"p0"),
        GrantPermission("r", 0, b"q", None),
        GrantRole("nobody", "r"),
        SetAlarm(4, 2, True),
    )
    other = through_a_file(store)
    assert other.revision == store.revision
    assert [(r.key, r.value, r.version, r.lease) for r in other.flat.history.log] == [
        (r.key, r.value, r.version, r.lease) for r in store.flat.history.log
    ]
    assert {(lease.id, lease.ttl_ms, *lease.flat_keys) for lease in other.leases} == {
        (7, 60_000, b"a"), (-9, 5_000, b"b")
    }  # fmt: skip
    assert other.users.users == store.users.users
    assert other.users.roles == store.users.roles
    assert other.users.revision == store.users.revision
    assert other.alarms.table == store.alarms.table


def test_znodes_survive_a_file_that_etcd_could_still_open() -> None:
    session = GrantLease(5, 10_000, bytes(16), ())
    store = made(session, Create(5, b"/app", b"data", None, 0), Put(b"k", b"v"))
    data = b"".join(Writing(buckets_of(store, [], 2, 3)).pieces())
    assert {b"agreed", b"key"} <= set(Reading(data).names())
    other = through_a_file(store)
    assert other.tree.get(b"/app") is not None
    assert other.flat.get(b"k") is not None
    # Without any there is nothing in it that an etcd does not know.
    plain = b"".join(Writing(buckets_of(made(Put(b"k", b"v")), [], 2, 3)).pieces())
    assert b"agreed" not in Reading(plain).names()


def test_what_an_etcd_has_done_with_the_file_since_is_believed_and_not_our_old_bucket() -> None:
    session = GrantLease(5, 10_000, bytes(16), ())
    store = made(session, Create(5, b"/app", b"data", None, 0), Put(b"k", b"old"))
    old = Reading(b"".join(Writing(buckets_of(store, [], 2, 3)).pieces()))
    newer = made(Put(b"k", b"old"), Put(b"k", b"new"))
    buckets = list(buckets_of(newer, [], 2, 3))
    buckets.append(bucket(b"agreed", dict(old.bucket(b"agreed"))))
    back = store_of(b"".join(Writing(buckets).pieces()))
    record = back.flat.get(b"k")
    assert record is not None
    assert record.value == b"new"


def of_an_etcd(**changed: dict[bytes, bytes]) -> bytes:
    """A file with three versions of a key, in which some entries of buckets are changed."""
    store = made(Put(b"k", b"1"), Put(b"k", b"2"), Put(b"k", b"3"))
    whole = Reading(b"".join(Writing(buckets_of(store, [], 2, 3)).pieces()))
    names = whole.names()
    content = {name: dict(whole.bucket(name)) | changed.get(name.decode(), {}) for name in names}
    return b"".join(Writing([bucket(*each) for each in content.items()]).pieces())


def test_what_an_etcd_had_begun_to_compact_cannot_be_read_any_more() -> None:
    begun = {b"scheduledCompactRev": struct.pack(">QcQ", store_of(of_an_etcd()).revision - 1, b"_", 0)}
    other = store_of(of_an_etcd(meta=begun))
    assert other.flat.history.compacted == other.revision - 1
    check(other)


@pytest.mark.parametrize(
    ("revision", "kept"),
    [
        (10, KeyValue(b"k", 2, 9, 4, b"")),
        (10, KeyValue(b"k", 2, 10, 0, b"")),
        (10, KeyValue(b"", 2, 10, 4, b"")),
        ((1 << 64) - 1, KeyValue(b"k", 2, (1 << 63) - 1, 4, b"")),
        ((1 << 63) - 1, KeyValue(b"k", 2, (1 << 63) - 1, 4, b"")),
    ],
)
def test_versions_that_cannot_be_are_refused(revision: int, kept: KeyValue) -> None:
    with pytest.raises(CorruptData, match="revision"):
        store_of(of_an_etcd(key={struct.pack(">QcQ", revision, b"_", 0): encode(kept)}))


def test_versions_out_of_their_order_are_refused() -> None:
    turned = sorted(Reading(of_an_etcd()).bucket(b"key"), reverse=True)
    keys = Bucket(b"key", lambda: turned, lambda: [(key, len(value)) for key, value in turned])
    with pytest.raises(CorruptData, match="broken"):
        store_of(b"".join(Writing([keys]).pieces()))


def test_no_token_is_in_a_file() -> None:
    session = GrantLease(5, 10_000, bytes(16), ())
    users = (AddUser("root", b"hash"), AddRole("root"), GrantRole("root", "root"), EnableAuth())
    store = made(session, Create(5, b"/app", b"data", None, 0), *users)
    store.execute(IssueToken("root", "a-token", store.users.revision), "n1")
    assert store.users.tokens
    assert b"a-token" not in b"".join(Writing(buckets_of(store, [], 2, 3)).pieces())
