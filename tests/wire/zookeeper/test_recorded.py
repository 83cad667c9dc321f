"""The questions of a probe, in bytes, and the answers which a real ZooKeeper 3.9.3 gave to them.

Revisions and times of the recording cannot be those of another run, so they are blanked on both sides before
the bytes are compared; what they have to do with each other is told in the stories further below.
"""
from __future__ import annotations

import struct

import pytest

from tests.wire.zookeeper.one_node import (
    END,
    WORLD,
    Client,
    Frame,
    OneNode,
    acl,
    create,
    operation,
    path_and_int,
    path_and_version,
    read,
    set_data,
    text,
    vector,
)

P = "/pr1795329307153"
HOUR = 3_600_000


def nothing_but(code: int) -> tuple[int, bytes]:
    return code, b""


def ok(body: str = "") -> tuple[int, bytes]:
    return 0, bytes.fromhex(body)


STAT_BYTES = 68


def blank(body: bytes, stat_at: int | None) -> bytes:
    """Without the zxids and times of the stat that begins at `stat_at`."""
    if stat_at is None:
        return body
    stat = bytearray(body[stat_at : stat_at + STAT_BYTES])
    stat[:32] = bytes(32)
    stat[60:] = bytes(8)
    return body[:stat_at] + bytes(stat) + body[stat_at + STAT_BYTES :]


def stat(
    version: int = 0,
    children_version: int = 0,
    acl_version: int = 0,
    owner: int = 0,
    size: int = 0,
    children: int = 0,
) -> bytes:
    return struct.pack(
        "!32xiiiqii8x", version, children_version, acl_version, owner, size, children
    )


def path(name: str) -> bytes:
    return text(P + name)


FIRST_PROBE: list[tuple[str, int, bytes, int, bytes, int | None]] = [
    # what, op, body of the request, error, body of the reply, where in it a stat begins
    ("create root exists", 1, create("/"), -110, b"", None),
    ("create", 1, create(P, b"d"), 0, path(""), None),
    ("create dup", 1, create(P, b"d"), -110, b"", None),
    ("create2", 15, create(P + "/a", b"d"), 0, path("/a") + stat(size=1), 22),
    ("create null data", 1, create(P + "/n", None), 0, path("/n"), None),
    ("getData of null", 4, read(P + "/n"), 0, b"\xff\xff\xff\xff" + stat(), 4),
    ("create bad flag 9", 1, create(P + "/b", flags=9), -8, b"", None),
    ("create flag4 container w/ create op", 1, create(P + "/c4", flags=4), 0, path("/c4"), None),
    ("stat of it", 3, read(P + "/c4"), 0, stat(), 0),
    ("create2 flag4", 15, create(P + "/c4b", flags=4), 0, path("/c4b") + stat(), 24),
    ("createContainer flag4", 19, create(P + "/c4c", flags=4), 0, path("/c4c") + stat(), 24),
    ("createContainer flag0", 19, create(P + "/c0", flags=0), 0, path("/c0") + stat(), 23),
    ("exists c0", 3, read(P + "/c0"), 0, stat(), 0),
    ("createTTL flag5", 21, create(P + "/t5", flags=5, ttl=600_000), 0, path("/t5") + stat(), 23),
    ("exists t5", 3, read(P + "/t5"), 0, stat(), 0),
    ("createTTL flag6 seq", 21, create(P + "/t6-", flags=6, ttl=600_000), 0,
     path("/t6-0000000007") + stat(), 34),
    ("createTTL ttl 0", 21, create(P + "/t00", flags=5, ttl=0), -8, b"", None),
    ("create flag5 via create op", 1, create(P + "/t55", flags=5), -8, b"", None),
    ("create empty acl", 1, create(P + "/na", lines=acl()), -114, b"", None),
    ("create null acl", 1, create(P + "/na2", lines=struct.pack("!i", -1)), -114, b"", None),
    ("create acl auth no auth", 1, create(P + "/na3", lines=acl((31, "auth", ""))), -114, b"", None),
    ("create acl bogus scheme", 1, create(P + "/na4", lines=acl((31, "bogus", "x"))), -114, b"", None),
    ("create path w/o slash", 1, create("foo"), -8, b"", None),
    ("create trailing slash", 1, create(P + "/x/"), -101, b"", None),
    ("create //", 1, create(P + "//x"), -101, b"", None),
    ("create /./", 1, create(P + "/./x"), -101, b"", None),
    ("create /..", 1, create(P + "/.."), -8, b"", None),
    ("create \\0", 1, create(P + "/a\0b"), -8, b"", None),
    ("create ctrl char", 1, create(P + "/a\x01b"), -8, b"", None),
    ("create empty path", 1, create(""), -8, b"", None),
    ("create null path", 1, create(None), -5, b"", None),
    ("getData empty path", 4, read(""), 0, bytes(4) + stat(0, 0, 0, 0, 0, 2), 4),
    ("exists nonode", 3, read("/nope"), -101, b"", None),
    ("getData nonode", 4, read("/nope"), -101, b"", None),
    ("getChildren nonode", 8, read("/nope"), -101, b"", None),
    ("exists trailing slash", 3, read(P + "/"), -101, b"", None),
    ("delete /", 2, path_and_version("/"), -8, b"", None),
    ("delete notempty", 2, path_and_version(P), -111, b"", None),
    ("delete badversion", 2, path_and_version(P + "/n", 5), -103, b"", None),
    ("setData badversion", 5, set_data(P + "/n", b"", 5), -103, b"", None),
    ("setData v0", 5, set_data(P + "/n", b"q", 0), 0, stat(version=1, size=1), 0),
    ("setACL", 7, text(P + "/n") + WORLD + struct.pack("!i", -1), 0, stat(1, 0, 1, 0, 1), 0),
    ("setACL badversion", 7, text(P + "/n") + WORLD + struct.pack("!i", 0), -103, b"", None),
    ("getACL", 6, text(P + "/n"), 0, WORLD + stat(1, 0, 1, 0, 1), 27),
    ("sync", 9, text("/"), 0, text("/"), None),
    ("sync nonode", 9, text("/nope"), 0, text("/nope"), None),
    ("ping", 11, b"", 0, b"", None),
    ("getEphemerals", 103, text(None), 0, bytes(4), None),
    ("allchildren", 104, text(P), 0, struct.pack("!i", 8), None),
    ("whoAmI", 107, b"", 0, struct.pack("!i", 1) + text("ip") + text("127.0.0.1"), None),
    ("multi empty", 14, END, 0, END, None),
    ("multi mixing read/write", 14,
     operation(4, read(P)) + operation(1, create(P + "/m6")) + END, -5, b"", None),
    ("multi w/ exists op(3)", 14, operation(3, read(P)) + END, -5, b"", None),
    ("createSession op -10", -10, b"", -5, b"", None),
    ("garbage getData body", 4, b"\0\0\0\x7f", -5, b"", None),
    ("   next", 3, read("/"), 0, stat(0, 0, 0, 0, 0, 2), 0),
    ("garbage create body", 1, b"\0\0\0\x7f", -5, b"", None),
    ("delete /zookeeper", 2, path_and_version("/zookeeper"), -8, b"", None),
    ("setData /zookeeper/config", 5, set_data("/zookeeper/config", b"1"), -102, b"", None),
    ("create under /zookeeper", 1, create("/zookeeper/zz"), 0, text("/zookeeper/zz"), None),
    ("addWatch persistent", 106, path_and_int(P, 0), 0, bytes(4), None),
    ("addWatch recursive", 106, path_and_int(P, 1), 0, bytes(4), None),
    ("addWatch bad mode", 106, path_and_int(P, 7), -5, b"", None),
    ("checkWatches any", 17, path_and_int(P, 3), 0, b"", None),
    ("checkWatches none", 17, path_and_int("/zz", 3), -121, b"", None),
    ("removeWatches type5", 18, path_and_int(P, 5), 0, b"", None),
    ("removeWatches any", 18, path_and_int(P, 3), 0, b"", None),
    ("removeWatches again", 18, path_and_int(P, 3), -121, b"", None),
]


def test_a_client_is_answered_as_by_a_real_server() -> None:
    """One story: later questions depend on what earlier ones did."""
    client = OneNode().connect()
    wrong = []
    for xid, (what, op, body, error, reply, stat_at) in enumerate(FIRST_PROBE, start=1):
        frame = client.call(xid, op, body)
        got = (frame.xid, frame.error, blank(frame.body, stat_at))
        if got != (xid, error, blank(reply, stat_at)):
            wrong.append((what, got, (xid, error, reply)))
    assert wrong == []


@pytest.mark.parametrize(
    ("op", "body"),
    [
        pytest.param(13, path_and_version("/", 0), id="a check outside of a multi"),
        pytest.param(77, b"", id="an unknown operation"),
        pytest.param(0, b"", id="a notification"),
        # A real server deletes here, whoever asks: the one answer of the probe which is not followed.
        pytest.param(20, text("/zookeeper/zz"), id="deleteContainer"),
    ],
)
def test_what_is_no_operation_of_a_client_ends_the_connection(op: int, body: bytes) -> None:
    client = OneNode().connect()
    assert client.call(56, op, body) == Frame(56, -1, -6, b"")
    assert client.closed


@pytest.fixture
def client() -> Client:
    client = OneNode().connect()
    client.call(1, 1, create(P, b"d"))
    return client


def blank_all(body: bytes, *stats_at: int) -> str:
    for stat_at in stats_at:
        body = blank(body, stat_at)
    return body.hex()


def test_a_multi_that_succeeds(client: Client) -> None:
    sub_operations = (
        operation(1, create(P + "/m1"))
        + operation(5, set_data(P + "/m1", b"z", 0))
        + operation(13, path_and_version(P + "/m1", 1))
        + operation(2, path_and_version(P + "/m1"))
    )
    recorded = bytes.fromhex(
        "000000010000000000000000132f7072313739353332393330373135332f6d3100000005000000000000000000000000320000"
        "000000000032000001a201f732f8000001a201f732f800000001000000000000000000000000000000000000000100000000"
        "00000000000000320000000d0000000000000000020000000000ffffffff01ffffffff"
    )
    frame = client.call(51, 14, sub_operations + END)
    assert frame.error == 0
    assert blank_all(frame.body, 41) == blank_all(recorded, 41)


def test_a_multi_that_fails_says_so_in_every_slot_and_not_in_the_header(client: Client) -> None:
    sub_operations = (
        operation(1, create(P + "/m2"))
        + operation(13, path_and_version(P, 77))
        + operation(2, path_and_version("/nope"))
    )
    frame = client.call(52, 14, sub_operations + END)
    assert frame.error == 0
    assert frame.body.hex() == (
        "ffffffff000000000000000000ffffffff00ffffff99ffffff99ffffffff00fffffffefffffffeffffffff01ffffffff"
    )
    assert client.call(53, 3, read(P + "/m2")).error == -101, "nothing of it was done"


def test_what_can_never_be_valid_takes_its_turn_in_a_multi(client: Client) -> None:
    """The flags of the third operation are wrong in any case, but the second one fails first."""
    poison = operation(21, create(P + "/poison", flags=0, ttl=-1))
    missing = operation(2, path_and_version("/nope"))
    fine = operation(1, create(P + "/fine"))

    def errors(body: bytes) -> list[int]:
        frame = client.call(9, 14, body + END)
        return [code for _, _, code, _ in struct.iter_unpack("!i?ii", frame.body[:-9])]

    assert errors(fine + missing + poison) == [0, -101, -2]
    assert errors(fine + poison + missing) == [0, -8, -2]


@pytest.mark.parametrize("op", [15, 19, 21])
def test_results_of_all_new_kinds_of_create_stand_under_create2(client: Client, op: int) -> None:
    flags, ttl = {15: (0, None), 19: (4, None), 21: (5, 9_999_999)}[op]
    frame = client.call(54, 14, operation(op, create(P + "/m3", flags=flags, ttl=ttl)) + END)
    assert frame.body.hex().startswith("0000000f0000000000000000132f7072313739353332393330373135332f6d33")
    assert len(frame.body) == 9 + 4 + 19 + STAT_BYTES + 9


def test_multi_read_tells_of_each_read_for_itself(client: Client) -> None:
    for name in ("/a", "/b"):
        client.call(2, 1, create(P + name))
    reads = operation(4, read(P)) + operation(8, read(P, watch=True)) + operation(4, read("/nope"))
    frame = client.call(53, 22, reads + END)
    assert frame.error == 0
    assert blank_all(frame.body, 14) == blank_all(
        bytes.fromhex("000000040000000000" "0000000164")
        + stat(0, 2, 0, 0, 1, 2)
        + bytes.fromhex("000000080000000000" "00000002" "0000000161" "0000000162")
        + bytes.fromhex("ffffffff00ffffff9bffffff9b" "ffffffff01ffffffff"),
        14,
    )
    assert client.call(54, 17, path_and_int(P, 3)).error == -121, "the watch flag was not heeded"


def test_read_events_come_as_recorded(client: Client) -> None:
    server = client.server
    watcher = server.connect()
    client.call(2, 1, create(P + "/a"))
    assert watcher.call(1, 4, read(P + "/a", watch=True)).error == 0
    assert watcher.call(2, 3, read(P + "/wn", watch=True)).error == -101
    assert watcher.call(3, 12, read(P, watch=True)).error == 0
    assert watcher.call(4, 8, read(P + "/a", watch=True)).error == 0

    changed = client.call(3, 5, set_data(P + "/a", b"1"))
    assert watcher.receive() == Frame(-1, changed.zxid, 0, struct.pack("!ii", 3, 3) + path("/a"))
    created = client.call(4, 1, create(P + "/wn"))
    assert watcher.receive() == Frame(-1, created.zxid, 0, struct.pack("!ii", 1, 3) + path("/wn"))
    assert watcher.receive() == Frame(-1, created.zxid, 0, struct.pack("!ii", 4, 3) + path(""))
    assert watcher.call(5, 4, read(P + "/a", watch=True)).error == 0
    assert watcher.call(6, 3, read(P + "/a", watch=True)).error == 0
    deleted = client.call(5, 2, path_and_version(P + "/a"))
    assert watcher.receive() == Frame(-1, deleted.zxid, 0, struct.pack("!ii", 2, 3) + path("/a"))
    assert watcher.receive() is None


def test_an_event_that_a_client_has_made_itself_comes_before_the_reply(client: Client) -> None:
    client.call(30, 8, read(P, watch=True))
    both = operation(1, create(P + "/mm1")) + operation(1, create(P + "/mm2")) + END
    event = client.call(31, 14, both)
    reply = client.receive()
    assert reply is not None
    assert (event.xid, reply.xid) == (-1, 31)
    assert event.zxid == reply.zxid
    assert client.receive() is None


def test_set_watches_answers_with_events_and_then_its_reply(client: Client) -> None:
    since = client.call(2, 3, read("/")).zxid
    client.call(3, 5, set_data(P, b"2"))
    client.call(4, 1, create(P + "/sw"))
    body = vector(P, "/gone") + vector(P + "/sw", "/none") + vector(P, "/gone2")
    client.send(-8, 101, struct.pack("!q", since) + body)
    expected = [(3, P), (2, "/gone"), (1, P + "/sw"), (4, P), (2, "/gone2")]
    for kind, where in expected:
        assert client.receive() == Frame(-1, -1, 0, struct.pack("!ii", kind, 3) + text(where))
    reply = client.receive()
    assert reply is not None
    assert (reply.xid, reply.zxid > since, reply.error, reply.body) == (-8, True, 0, b"")
    body = vector() + vector() + vector() + vector(P) + vector(P)
    assert client.call(-8, 105, struct.pack("!q", since) + body).error == 0
    assert client.call(5, 17, path_and_int(P, 4)).error == 0
    assert client.call(6, 17, path_and_int(P, 5)).error == 0


def test_who_is_not_in_the_list_may_not_look(client: Client) -> None:
    owner = client.server.connect()
    assert owner.call(-4, 100, struct.pack("!i", 0) + text("digest") + text(b"u:p")) == Frame(-4, 0, 0, b"")
    made = owner.call(2, 1, create(P + "/au", lines=acl((31, "auth", None))))
    assert (made.error, made.body) == (0, path("/au"))
    for op, body in ((6, path("/au")), (3, read(P + "/au")), (4, read(P + "/au")), (104, path("/au"))):
        assert client.call(45, op, body).error == -102
    listed = owner.call(3, 6, path("/au")).body
    assert listed[:-STAT_BYTES] == acl((31, "digest", "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="))
    shown = struct.pack("!i", 2) + text("ip") + text("127.0.0.1") + text("digest") + text("u")
    assert owner.call(4, 107).body == shown


def test_hashes_are_shown_to_administrators_only(client: Client) -> None:
    owner = client.server.connect()
    for proof in (b"a:b", b"c:d"):
        owner.call(-4, 100, struct.pack("!i", 0) + text("digest") + text(proof))
    owner.call(2, 1, create(P + "/s", lines=acl((31, "auth", ""), (1, "world", "anyone"))))
    masked = acl((31, "digest", "a:x"), (31, "digest", "c:x"), (1, "world", "anyone"))
    whole = acl(
        (31, "digest", "a:3OptnM09ILoVSfbZtd3mB0IViII="),
        (31, "digest", "c:JW0uwAqVIVi/U/OdKDCihoUkdus="),
        (1, "world", "anyone"),
    )
    assert client.call(3, 6, path("/s")).body[:-STAT_BYTES] == masked
    assert owner.call(3, 6, path("/s")).body[:-STAT_BYTES] == whole


def test_the_administrator_passes_every_list(client: Client) -> None:
    client.call(2, 1, create(P + "/p0", lines=acl((0, "world", "anyone"))))
    assert client.call(3, 4, read(P + "/p0")).error == -102
    root = client.server.connect()
    root.call(-4, 100, struct.pack("!i", 0) + text("digest") + text(b"super:test"))
    assert root.call(3, 4, read(P + "/p0")).error == 0
    assert client.call(4, 2, path_and_version(P + "/p0")).error == 0, "the parent's list decides"


def test_a_scheme_that_proves_nothing_ends_the_connection(client: Client) -> None:
    assert client.call(-4, 100, struct.pack("!i", 0) + text("bogus") + text(b"x")) == Frame(-4, 0, -115, b"")
    assert client.closed


def test_reads_in_a_row_with_writes_see_just_those_before_them(client: Client) -> None:
    client.send(20, 1, create(P + "/p1"))
    client.send(21, 4, read(P + "/p1"))
    client.send(22, 2, path_and_version(P + "/p1"))
    client.send(-2, 11)
    client.send(23, 3, read(P + "/p1"))
    frames = [client.receive() for _ in range(5)]
    assert all(frames)
    first = frames[0].zxid if frames[0] else 0
    recorded = [(20, 121, 0), (21, 121, 0), (22, 122, 0), (-2, 122, 0), (23, 122, -101)]
    assert [frame[:3] for frame in frames if frame] == [
        (xid, zxid - 121 + first, error) for xid, zxid, error in recorded
    ]


def test_what_a_stat_counts(client: Client) -> None:
    def numbers(name: str) -> tuple[int, ...]:
        return struct.unpack("!qqqqiiiqiiq", client.call(99, 3, read(P + name)).body)

    client.call(2, 1, create(P + "/v"))
    seen = []
    for _ in range(3):
        made = client.call(3, 1, create(P + "/v/a")).zxid
        after_creation = numbers("/v")
        gone = client.call(4, 2, path_and_version(P + "/v/a")).zxid
        after_deletion = numbers("/v")
        seen.append((after_creation[5], after_deletion[5]))
        assert (after_creation[10], after_deletion[10]) == (made, gone), "pzxid is that of the last child"
        assert (after_creation[9], after_deletion[9]) == (1, 0)
    assert seen == [(1, 2), (3, 4), (5, 6)]
    assert client.call(5, 1, create(P + "/v/s", flags=2)).body.endswith(b"/v/s0000000003")

    before = numbers("/v")
    client.call(6, 5, set_data(P + "/v", b"1"))
    after_set = numbers("/v")
    client.call(7, 7, path("/v") + WORLD + struct.pack("!i", -1))
    after_acl = numbers("/v")
    assert after_set[10] == before[10]
    assert after_set[1] > before[1]
    assert after_set[3] > before[3]
    assert after_acl[:4] == after_set[:4]
    assert (after_set[4], after_set[6], after_acl[6]) == (1, 0, 1)


def test_ephemerals_belong_to_their_session(client: Client) -> None:
    client.call(2, 1, create(P + "/e1", flags=1))
    assert client.call(3, 1, create(P + "/e1/x")).error == -108
    owner = struct.unpack("!qqqqiiiqiiq", client.call(4, 3, read(P + "/e1")).body)[7]
    assert owner == client.lease
    assert client.call(5, 103, text(P + "/e")).body == vector(P + "/e1")
    assert client.call(6, 103, text("/zz")).body == bytes(4)
    for everything in (None, "", "/", " / "):
        assert client.call(7, 103, text(everything)).body == vector(P + "/e1")
    assert client.server.connect().call(1, 103, text(P)).body == bytes(4)
    watcher = client.server.connect()
    watcher.call(1, 4, read(P + "/e1", watch=True))
    closing = client.call(30, -11)
    assert (closing.error, closing.body) == (0, b"")
    event = watcher.receive()
    assert event == Frame(-1, closing.zxid, 0, struct.pack("!ii", 2, 3) + path("/e1"))


def test_the_configuration_shows_its_special_stat(client: Client) -> None:
    numbers = struct.unpack("!qqqqiiiqiiq", client.call(2, 3, read("/zookeeper/config")).body)
    assert (numbers[0], numbers[4], numbers[6]) == (0, -1, -1)


def test_a_full_share_of_watches_is_an_error_and_the_read_is_not_done() -> None:
    client = OneNode(watch_limit=1).connect()
    assert client.call(1, 4, read("/", watch=True)).error == 0
    for op in (3, 4, 8, 12):
        assert client.call(2, op, read("/zookeeper", watch=True)).error == -125
    assert client.call(3, 106, path_and_int("/zookeeper", 0)).error == -125
    assert client.call(4, 4, read("/zookeeper")).error == 0
