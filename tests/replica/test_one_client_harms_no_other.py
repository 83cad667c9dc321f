"""What a single client may send must neither end a node nor take its memory."""

from __future__ import annotations

from agreed.replica import events
from agreed.replica.settings import Settings
from agreed.replica.zookeeper import MAX_WAITING_BYTES
from agreed.store.records import OPEN_ACL
from agreed.wire.zookeeper.connection import Answer
from agreed.wire.zookeeper.messages import (
    XID_AUTH,
    AuthRequest,
    CreateMode,
    CreateRequest,
    ErrorCode,
    ExistsRequest,
    GetDataRequest,
    Op,
    SaslRequest,
    SetDataRequest,
)
from agreed.wire.zookeeper.replies import ErrorReply, SaslReply
from agreed.wire.zookeeper.sasl import DigestMd5Client
from tests.replica.alone import Alone, Client

MEGABYTE = 1024 * 1024


def create(path: bytes, data: bytes = b"") -> CreateRequest:
    return CreateRequest(path, data, OPEN_ACL, CreateMode.PERSISTENT, 0, Op.CREATE)


def test_a_second_login_while_the_first_is_being_agreed_upon() -> None:
    node = Alone(Settings(sasl_users={"bob": "secret"}))
    client = node.client()
    login = DigestMd5Client("bob", "secret", "cnonce")
    client.ask(SaslRequest(b""))
    challenge = client.replies[-1]
    assert isinstance(challenge, Answer)
    assert isinstance(challenge.reply, SaslReply)
    proof = login.receive(challenge.reply.token or b"")
    assert proof is not None
    client.ask(SaslRequest(proof), SaslRequest(b""), ExistsRequest(b"/", False))
    assert [reply.xid for reply in client.replies[1:] if isinstance(reply, Answer)] == [1, 2, 3, 4]
    verdict = client.replies[2]
    assert isinstance(verdict, Answer)
    assert isinstance(verdict.reply, SaslReply)
    assert login.receive(verdict.reply.token or b"") is None, "the server knows it too"


def test_a_failed_login_is_told_although_something_else_is_not_answered_yet() -> None:
    """Else the client takes it for a broken connection, and tries the same for ever."""
    node = Alone()
    client = node.client()
    node.saving = False
    client.ask(create(b"/a"), AuthRequest(0, "kerberos", b"bob"))
    last = client.replies[-1]
    assert isinstance(last, Answer)
    assert (last.xid, last.reply) == (XID_AUTH, ErrorReply(ErrorCode.AUTH_FAILED))
    assert client.closed


def test_ten_thousand_reads_of_a_megabyte_in_one_piece() -> None:
    node = Alone()
    client = node.client()
    client.ask(create(b"/big", bytes(MEGABYTE - 200)))
    client.ask(*[GetDataRequest(b"/big", False)] * 500)
    assert client.closed
    assert len(client.replies) == 2, "nothing of it was built up"
    other = node.client()
    other.ask(GetDataRequest(b"/big", False))
    assert len(other.replies) == 2


def test_without_a_leader_what_clients_ask_does_not_pile_up() -> None:
    node = Alone(members=("n1", "n2", "n3"))
    client = node.client()
    while not client.paused:
        client.say(client.connection.send(create(b"/a", bytes(MEGABYTE - 200)))[1])
        early = node.replica.zookeeper._early[client.id]
        assert len(early) <= 200


def test_large_requests_are_not_read_faster_than_they_are_agreed_upon() -> None:
    node = Alone()
    client = node.client()
    node.saving = False
    asked = 0
    while not client.paused:
        client.ask(SetDataRequest(b"/a", bytes(MEGABYTE - 200), -1))
        asked += 1
        assert asked * MEGABYTE < 2 * MAX_WAITING_BYTES
    node.saving = True
    node.turn()
    node.pass_ms(1_500)
    assert not client.paused
    assert len(client.replies) == 1 + asked


def test_reads_that_nobody_has_to_agree_upon_are_never_held_for_long() -> None:
    node = Alone()
    client = node.client()
    node.saving = False
    for _ in range(5):
        client.ask(create(b"/a"))
    node.replica.requests.waiting_bytes = 2 * MAX_WAITING_BYTES
    client.ask(ExistsRequest(b"/", False))
    node.saving = True
    node.turn()
    assert not client.paused
    assert len(client.replies) == 1 + 5 + 1


def test_a_client_that_is_not_read_from_counts_as_heard() -> None:
    """Its pings wait in the socket, and its session must not expire for it."""
    node = Alone()
    client = node.client()
    [lease] = [lease.id for lease in node.replica.store.leases]
    node.replica.zookeeper._clients[client.id].paused = True
    node.pass_ms(30_000)
    assert node.replica.store.leases.get(lease) is not None
    node.replica.zookeeper._clients[client.id].paused = False
    node.pass_ms(12_000)
    assert node.replica.store.leases.get(lease) is None


def test_what_arrives_on_a_connection_that_its_client_has_left_is_not_done() -> None:
    """The session is taken up anew on the same node, which owned it before: no log refuses the old one."""
    node = Alone()
    old = node.client()
    connected = old.replies[0]
    new = Client(node)
    node.saving = False
    new.connect(connected.session_id, connected.password)  # type: ignore[union-attr]
    old.ask(create(b"/late"))
    node.saving = True
    node.turn()
    assert old.closed
    assert new.replies
    assert node.replica.store.tree.get(b"/late") is None


def test_a_wrong_password_puts_nobody_out() -> None:
    node = Alone()
    old = node.client()
    connected = old.replies[0]
    thief = Client(node)
    thief.connect(connected.session_id, bytes(16))  # type: ignore[union-attr]
    assert thief.closed
    assert not old.closed
    old.ask(create(b"/mine"))
    assert len(old.replies) == 2
    node.turn(events.ClientClosed(old.id))


def test_a_handshake_that_never_ends_does_not_keep_its_connection() -> None:
    node = Alone()
    half = Client(node)
    half.say(b"\0\0\0")
    whole = node.client()
    for _ in range(61):
        node.pass_ms(1_000, 500)
        whole.ask(ExistsRequest(b"/", False))
    assert half.closed
    assert not whole.closed
