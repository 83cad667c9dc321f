"""Two hundred questions to a ZooKeeper server, asked in bytes, and its answers in words.

`python -m tests.acceptance.questions PORT` prints them; `ask_everything(port)` asks all of them, in order,
and returns one line for each: `question -> answer`.  An answer has no zxids, times or session ids of its
own: a zxid is told by its place (`=header`, `earlier`, `later`), a session by whose it is.  So the lines of
two servers, or of one server on two days, can be compared as they are.

The server must have the super user super:test, the JAAS users of `cluster.JAAS_TEXT`, time to live nodes
and quotas switched on, ticks of 2 s, and a tree that is its own since the last question.
"""
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tests.acceptance.cluster import four_letter_word
from tests.acceptance.interview import Interview
from tests.acceptance.jute import OPEN, Acl, Reader, Writer
from tests.acceptance.raw_client import Closed, RawClient, Session, connect
from tests.acceptance.requests import (
    AddWatch,
    AnyRequest,
    Anything,
    Authenticate,
    Check,
    CloseSession,
    CountAllChildren,
    Create,
    Delete,
    GetAcl,
    GetEphemerals,
    Multi,
    Ping,
    Read,
    SetAcl,
    SetData,
    SetWatches,
    Sync,
    WatchChange,
    WhoAmI,
)
from tests.acceptance.sasl import digest_md5_token

EXISTS, GET_DATA, GET_CHILDREN, GET_CHILDREN2 = 3, 4, 8, 12


# --- connecting
# -------------------------------------------------------------------------------------------------


def told(session: Session) -> str:
    zeros = "zeros" if not any(session.password) else "secret"
    return (
        f"protocol {session.protocol}, timeout {session.timeout_ms}, {'an id' if session.id else 'no id'},"
        f" password of {len(session.password)} ({zeros}), rest {session.rest!r}"
    )


def ask_about_connecting(interview: Interview) -> None:
    port = interview.port

    def greeted(**handshake: Any) -> str:
        """The session is closed: it would expire later, which is a write that nobody here expects."""
        client = RawClient(port)
        session = client.handshake(**handshake)
        interview.do(client, CloseSession())
        return told(session)

    for timeout_ms in (1, 100, 10_000, 1_000_000, -1):
        interview.note(f"connect with a timeout of {timeout_ms} ms", greeted(timeout_ms=timeout_ms))
    interview.note("connect without the readOnly byte", greeted(read_only=None))
    interview.note("connect with an empty password", greeted(password=b""))
    interview.note("connect with a null password", greeted(password=None))
    interview.note("connect with protocol version 7", greeted(protocol=7))
    interview.note("connect as a reader only", greeted(read_only=True))

    stranger = RawClient(port)
    interview.note("a session nobody has", told(stranger.handshake(session_id=0x1234567, password=b"x" * 16)))
    interview.hear("and then", stranger)

    first = interview.client()
    assert first.session is not None
    number, password = first.session.id, first.session.password
    wrong = RawClient(port)
    interview.note("a wrong password", told(wrong.handshake(session_id=number, password=b"y" * 16)))
    second = RawClient(port)
    session = second.handshake(session_id=number, password=password, timeout_ms=10_000)
    interview.note("a session taken up again", f"{told(session)}, same id {session.id == number}")
    interview.hear("its old connection", first)
    third = RawClient(port)
    session = third.handshake(session_id=number, password=password, timeout_ms=20_000)
    interview.note("taken up with another timeout", told(session))
    interview.do(third, CloseSession())

    ahead = RawClient(port)
    try:
        interview.note("a client that has seen the future", told(ahead.handshake(last_zxid=1 << 60)))
    except Closed:
        interview.note("a client that has seen the future", "closed")


# --- creating
# ---------------------------------------------------------------------------------------------------

NO_ACL: tuple[Acl, ...] = ()


def one(scheme: str | None, name: str | None, permissions: int = 31) -> tuple[Acl, ...]:
    return (Acl(permissions, scheme, name),)


Questions = tuple[tuple[str, AnyRequest], ...]

CREATIONS: Questions = (
    ("create /", Create("/")),
    ("create", Create("~/d", b"d")),
    ("create what is there", Create("~/d", b"d")),
    ("create2", Create("~/a", b"d", operation=15)),
    ("create with null data", Create("~/n", None)),
    ("read null data", Read(GET_DATA, "~/n")),
    ("create with flag 9", Create("~/b", flags=9)),
    ("create with flag 4", Create("~/c4", flags=4)),
    ("its stat", Read(EXISTS, "~/c4")),
    ("create2 with flag 4", Create("~/c4b", flags=4, operation=15)),
    ("createContainer with flag 4", Create("~/c4c", flags=4, operation=19)),
    ("createContainer with flag 0", Create("~/c0", flags=0, operation=19)),
    ("its stat", Read(EXISTS, "~/c0")),
    ("createTTL", Create("~/t5", flags=5, operation=21, ttl=600_000)),
    ("its stat", Read(EXISTS, "~/t5")),
    ("createTTL, sequential", Create("~/t6-", flags=6, operation=21, ttl=600_000)),
    ("createTTL with ttl 0", Create("~/t0", flags=5, operation=21)),
    ("createTTL with the longest ttl", Create("~/tm", flags=5, operation=21, ttl=(1 << 40) - 1)),
    ("createTTL with a longer one", Create("~/tn", flags=5, operation=21, ttl=1 << 40)),
    ("create with flag 5", Create("~/t55", flags=5)),
    ("create2 with flag 6", Create("~/t66", flags=6, operation=15)),
    ("create with an empty acl", Create("~/x", acl=NO_ACL)),
    ("create with a null acl", Create("~/x", acl=None)),
    ("create with acl auth and no auth", Create("~/x", acl=one("auth", ""))),
    ("create with an unknown scheme", Create("~/x", acl=one("bogus", "x"))),
    ("create with a digest without colon", Create("~/x", acl=one("digest", "nocolon"))),
    ("create with a bad ip", Create("~/x", acl=one("ip", "300.1.1.1"))),
    ("create with an ip range", Create("~/ip", acl=one("ip", "127.0.0.0/8"))),
    ("read it", Read(GET_DATA, "~/ip")),
    ("create with an acl line twice", Create("~/twice", acl=(*OPEN, *OPEN))),
    ("its acl", GetAcl("~/twice")),
    ("create with permissions 0", Create("~/p0", acl=one("world", "anyone", 0))),
    ("exists", Read(EXISTS, "~/p0")),
    ("getData", Read(GET_DATA, "~/p0")),
    ("delete by the parent's permission", Delete("~/p0")),
    ("create a path without a slash", Create("foo")),
    ("create with a slash at the end", Create("~/x/")),
    ("create with an empty component", Create("~//x")),
    ("create with a dot", Create("~/./x")),
    ("create with two dots at the end", Create("~/..")),
    ("create with a NUL", Create("~/a\0b")),
    ("create with a control character", Create("~/a\x01b")),
    ("create the empty path", Create("")),
    ("create a null path", Create(None)),
    ("create a sequential node without a name", Create("~/", flags=2)),
    ("create an ephemeral node", Create("~/e", flags=1, operation=15)),
    ("a child of it", Create("~/e/x")),
    ("create under a missing parent", Create("~/missing/x")),
    ("create under /zookeeper", Create("/zookeeper")),
)

READS: Questions = (
    ("exists of a missing node", Read(EXISTS, "~/missing")),
    ("getData of a missing node", Read(GET_DATA, "~/missing")),
    ("getChildren of a missing node", Read(GET_CHILDREN, "~/missing")),
    ("getACL of a missing node", GetAcl("~/missing")),
    ("exists with a slash at the end", Read(EXISTS, "~/")),
    ("exists of a null path", Read(EXISTS, None)),
    ("getChildren", Read(GET_CHILDREN, "~")),
    ("getChildren2", Read(GET_CHILDREN2, "~")),
    ("getACL", GetAcl("~/n")),
    ("sync", Sync("/")),
    ("sync of a missing node", Sync("/nope")),
    ("ping", Ping()),
    ("getEphemerals of everything", GetEphemerals(None)),
    ("getEphemerals by prefix", GetEphemerals("~/e")),
    ("getEphemerals by another prefix", GetEphemerals("/zz")),
    ("getAllChildrenNumber", CountAllChildren("~")),
    ("getAllChildrenNumber of a missing node", CountAllChildren("~/missing")),
    ("whoAmI", WhoAmI()),
)

WRITES: Questions = (
    ("delete /", Delete("/")),
    ("delete /zookeeper", Delete("/zookeeper")),
    ("delete what has children", Delete("~")),
    ("delete another version", Delete("~/n", 5)),
    ("delete a missing node", Delete("~/missing")),
    ("setData of another version", SetData("~/n", b"", 5)),
    ("setData of version 0", SetData("~/n", b"q", 0)),
    ("setData of a missing node", SetData("~/missing", b"")),
    ("setACL", SetAcl("~/n", OPEN)),
    ("setACL of another version", SetAcl("~/n", OPEN, 0)),
    ("setACL with an empty list", SetAcl("~/n", NO_ACL)),
    ("setData of /zookeeper/config", SetData("/zookeeper/config", b"1")),
)


def ask_in_turn(interview: Interview, client: RawClient, questions: Questions) -> None:
    for question, request in questions:
        interview.ask(question, client, request)


# --- who may what
# -----------------------------------------------------------------------------------------------


def ask_about_authentication(interview: Interview) -> None:
    for scheme, credential in (("bogus", b"x"), ("world", b"")):
        client = interview.client()
        interview.ask(f"authenticate as {scheme}", client, Authenticate(scheme, credential))
        interview.hear("and then", client)
    for scheme, credential in (("digest", b"nocolon"), ("ip", b""), ("digest", b"super:test")):
        client = interview.client()
        interview.ask(f"authenticate as {scheme} {credential!r}", client, Authenticate(scheme, credential))
        interview.ask("who am I then", client, WhoAmI())

    stranger, owner = interview.client(), interview.client()
    interview.ask("authenticate as digest", owner, Authenticate("digest", b"a:b"))
    interview.ask("once more", owner, Authenticate("digest", b"a:b"))
    interview.ask("and as another", owner, Authenticate("digest", b"c:d"))
    interview.ask("who am I now", owner, WhoAmI())
    interview.ask("create with acl auth and a null id", owner, Create("~/au", acl=one("auth", None)))
    interview.ask("its acl, to a stranger", stranger, GetAcl("~/au"))
    interview.ask("its acl, to the owner", owner, GetAcl("~/au"))
    interview.ask("exists, to a stranger", stranger, Read(EXISTS, "~/au"))
    interview.ask("getData, to a stranger", stranger, Read(GET_DATA, "~/au"))
    interview.ask("setData, by a stranger", stranger, SetData("~/au", b""))
    interview.ask("setACL, by a stranger", stranger, SetAcl("~/au", OPEN))
    interview.ask("create a child, by a stranger", stranger, Create("~/au/x"))
    interview.ask("setACL to auth", owner, SetAcl("~/d", one("auth", "")))
    interview.ask("its acl", owner, GetAcl("~/d"))
    masked = (*one("auth", ""), *one("world", "anyone", 1))
    interview.ask("create with acl auth, world may read", owner, Create("~/masked", acl=masked))
    interview.ask("its acl, to a reader", stranger, GetAcl("~/masked"))
    interview.ask("the super user needs no permission", super_user(interview), Read(EXISTS, "~/au"))


def super_user(interview: Interview) -> RawClient:
    client = interview.client()
    interview.do(client, Authenticate("digest", b"super:test"))
    return client


def ask_about_sasl(interview: Interview) -> None:
    for user, password in (("jaasuser", "jaas_password"), ("jaasuser", "wrong"), ("nobody", "x")):
        client = interview.client()
        challenge = client.call(102, Writer().buffer(b"").bytes())
        text = (Reader(challenge.body).buffer() or b"").decode()
        names = sorted(part.partition("=")[0] for part in text.split(","))
        interview.note(f"SASL as {user}, {password}: the challenge", f"zxid {challenge.zxid}, {names}")
        token = digest_md5_token(text, user, password)
        answer = client.call(102, Writer().buffer(token).bytes())
        proof = Reader(answer.body).buffer()
        shape = "a proof" if proof and proof.startswith(b"rspauth=") else repr(proof)
        interview.note("the answer", f"zxid {answer.zxid}, err {answer.err}, {shape}")
        try:
            interview.ask("who am I then", client, WhoAmI())
        except Closed:
            interview.note("who am I then", "closed")


# --- multi
# ------------------------------------------------------------------------------------------------------

MULTIS: Questions = (
    ("an empty multi", Multi(())),
    (
        "create, set, check and delete in one",
        Multi((Create("~/m1"), SetData("~/m1", b"z", 0), Check("~/m1", 1), Delete("~/m1"))),
    ),
    ("a failing check in the middle", Multi((Create("~/m2"), Check("~", 77), Delete("~/missing")))),
    ("nothing of it was done", Read(EXISTS, "~/m2")),
    ("reads", Multi((Read(GET_DATA, "~/n"), Read(GET_CHILDREN, "~/n"), Read(GET_DATA, "~/missing")), True)),
    ("no reads", Multi((), True)),
    ("create2", Multi((Create("~/m3", operation=15),))),
    (
        "with a time to live, and a container",
        Multi((Create("~/m4", flags=5, operation=21, ttl=9_999_999), Create("~/m5", flags=4, operation=19))),
    ),
    (
        "sequence numbers",
        Multi((Create("~/n/s-", flags=2), Create("~/n/s-", flags=2), Delete("~/m3"), Create("~/n/s-",
        flags=2))),
    ),
    ("a read among writes", Multi((Read(GET_DATA, "~"), Create("~/m6")))),
    ("exists among writes", Multi((Read(EXISTS, "~"),))),
    ("setACL among writes", Multi((SetAcl("~", OPEN),))),
    ("a write among reads", Multi((Read(GET_DATA, "~/n"), Create("~/m6")), True)),
    ("a failing delete alone", Multi((Delete("~/missing"),))),
)


# --- nonsense
# ---------------------------------------------------------------------------------------------------


def ask_nonsense(interview: Interview) -> None:
    for question, request in (
        ("a check alone", Check("~", 0)),
        ("operation 77", Anything(77)),
        ("operation 0", Anything(0)),
    ):
        client = interview.client()
        interview.ask(question, client, request)
        interview.hear("and then", client)
    for question, request in (
        ("createSession from a client", Anything(-10)),
        ("getData cut short", Anything(4, b"\0\0\0\x7f")),
        ("create cut short", Anything(1, b"\0\0\0\x7f")),
    ):
        client = interview.client()
        interview.ask(question, client, request)
        interview.ask("and then exists", client, Read(EXISTS, "~/n"))
    container = Writer().text(f"{interview.root}/c0").bytes()
    interview.ask("deleteContainer from a client", interview.client(), Anything(20, container))
    joining = Writer().text("nonsense").text(None).text(None).int64(-1).bytes()
    interview.ask("reconfig with nonsense", interview.client(), Anything(16, joining))
    for size in (5_000_000, -5):
        client = interview.client()
        client.send_bytes(size.to_bytes(4, "big", signed=True))
        interview.hear(f"a frame of {size} bytes", client)
    client = interview.client()
    client.send_bytes(b"ruok")
    interview.hear("a four-letter word after the handshake", client)
    for size in (1_048_575 - 200, 1_048_576):
        client = interview.client()
        try:
            interview.ask(f"create with {size} bytes", client, Create("~/big", b"x" * size))
        except Closed:
            interview.note(f"create with {size} bytes", "closed")


# --- watches
# ----------------------------------------------------------------------------------------------------


def ask_about_watches(interview: Interview) -> None:
    watcher, writer = interview.client(), interview.client()
    interview.do(writer, Create("~/w"))
    interview.do(writer, Create("~/w/a", b"d"))
    interview.ask("getData with a watch", watcher, Read(GET_DATA, "~/w/a", True))
    interview.ask("exists of a missing node with a watch", watcher, Read(EXISTS, "~/w/new", True))
    interview.ask("getChildren2 with a watch", watcher, Read(GET_CHILDREN2, "~/w", True))
    interview.ask("getChildren with a watch", watcher, Read(GET_CHILDREN, "~/w/a", True))
    interview.do(writer, SetData("~/w/a", b"1"))
    interview.hear("after setData", watcher)
    interview.do(writer, Create("~/w/new"))
    interview.hear("after the missing node is created", watcher)
    interview.hear("and for its parent", watcher)
    interview.do(writer, SetData("~/w/a", b"2"))
    interview.hear_nothing("a watch fires once", watcher)
    interview.ask("getData of a missing node with a watch", watcher, Read(GET_DATA, "~/w/none", True))
    interview.do(writer, Create("~/w/none"))
    interview.hear_nothing("sets no watch", watcher)

    interview.do(watcher, Read(GET_DATA, "~/w/a", True))
    interview.do(watcher, Read(EXISTS, "~/w/a", True))
    interview.do(writer, SetAcl("~/w/a", OPEN))
    interview.hear_nothing("setACL is no event", watcher)
    interview.do(writer, Delete("~/w/a"))
    interview.hear("after a delete, with a data and a child watch", watcher)
    interview.hear_nothing("only once", watcher)

    ask_about_persistent_watches(interview, watcher, writer)
    ask_about_own_watches(interview)


def ask_about_persistent_watches(interview: Interview, watcher: RawClient, writer: RawClient) -> None:
    interview.ask("addWatch persistent", watcher, AddWatch("~/w", 0))
    interview.ask("addWatch recursive", watcher, AddWatch("~/w", 1))
    interview.ask("addWatch with mode 7", watcher, AddWatch("~/w", 7))
    interview.do(writer, Create("~/w/p"))
    interview.hear("after create", watcher)
    interview.hear("and", watcher)
    interview.do(writer, SetData("~/w/p", b"1"))
    interview.hear("after setData", watcher)
    interview.do(writer, Delete("~/w/p"))
    interview.hear("after delete", watcher)
    interview.hear("and", watcher)
    interview.do(writer, SetData("~/w", b"1"))
    interview.hear("after setData of the base", watcher)
    interview.hear_nothing("only once", watcher)
    interview.ask("checkWatches any", watcher, WatchChange(17, "~/w", 3))
    interview.ask("checkWatches elsewhere", watcher, WatchChange(17, "/zz", 3))
    interview.ask("removeWatches any", watcher, WatchChange(18, "~/w", 3))
    interview.ask("removeWatches again", watcher, WatchChange(18, "~/w", 3))

    interview.do(watcher, Read(EXISTS, "~/w"))  # so that it has seen everything up to here
    interview.do(writer, SetData("~/w", b"2"))
    interview.do(writer, Create("~/w/sw"))
    request = SetWatches(("~/w", "~/gone"), ("~/w/sw", "~/none"), ("~/w", "~/gone2"))
    watcher.send(request.code, interview.body(watcher, request), xid=request.xid)
    for _ in range(6):
        interview.hear("setWatches after some changes", watcher)
    interview.ask("setWatches2", watcher, SetWatches(persistent=("~/w",), recursive=("~/w",)))
    interview.do(writer, SetData("~/w/sw", b"2"))
    interview.hear("after setData", watcher)


def ask_about_own_watches(interview: Interview) -> None:
    client, other = interview.client(), interview.client()
    interview.do(client, Read(GET_CHILDREN, "~/w", True))
    request = Multi((Create("~/w/mm1"), Create("~/w/mm2")))
    client.send(request.code, interview.body(client, request))
    interview.hear("one's own multi under one's own watch: first", client)
    interview.hear("and then", client, request)

    interview.do(client, Read(GET_DATA, "~/w", True))
    assert client.session is not None
    again = RawClient(interview.port)
    again.handshake(session_id=client.session.id, password=client.session.password)
    interview.do(other, SetData("~/w", b"k"))
    interview.hear_nothing("a watch does not follow its session to a new connection", again)


# --- numbers
# ----------------------------------------------------------------------------------------------------


def ask_about_counters(interview: Interview) -> None:
    client = interview.client()
    interview.do(client, Create("~/v"))
    for turn in range(3):
        interview.do(client, Create("~/v/a"))
        interview.ask(f"after creation {turn} of a child", client, Read(EXISTS, "~/v"))
        interview.do(client, Delete("~/v/a"))
        interview.ask(f"after deletion {turn}", client, Read(EXISTS, "~/v"))
    interview.ask("the next sequence number", client, Create("~/v/s", flags=2))
    interview.ask("setData leaves pzxid alone", client, SetData("~/v", b"1"))
    interview.ask("setACL leaves mzxid alone", client, SetAcl("~/v", OPEN))

    leaver = interview.client()
    interview.do(leaver, Create("~/v/e", flags=1))
    interview.ask("somebody's ephemeral node", client, Read(EXISTS, "~/v/e"))
    interview.ask("closeSession", leaver, CloseSession())
    interview.hear("and then", leaver)
    interview.ask("it went with its session", client, Read(EXISTS, "~/v/e"))
    interview.ask("its parent knows", client, Read(EXISTS, "~/v"))


def ask_in_one_packet(interview: Interview) -> None:
    """Requests sent in one packet are answered in order, each knowing what the ones before it did."""
    client = interview.client()
    requests: tuple[AnyRequest, ...] = (
        *(Create("~/p1"), Read(GET_DATA, "~/p1"), Delete("~/p1"), Ping(), Read(EXISTS, "~/p1")),
    )
    interview.send_together(client, requests)
    for request in requests:
        interview.hear(f"in one packet: {type(request).__name__}", client, request)
    client = interview.client()
    interview.send_together(client, (CloseSession(), Read(EXISTS, "~")))
    interview.hear("closeSession, and exists behind it", client)
    interview.hear("and then", client)


def ask_about_quotas(interview: Interview) -> None:
    client = interview.client()
    quota = f"/zookeeper/quota{interview.root}"
    limits = b"count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=3"
    interview.do(client, Create(quota))
    interview.ask("limits of a quota", client, Create(f"{quota}/zookeeper_limits", limits))
    interview.ask("its counters", client, Create(f"{quota}/zookeeper_stats", b"count=0,bytes=0"))
    interview.ask("create over a hard limit", client, Create("~/over"))


def ask_about_expiry(interview: Interview) -> None:
    """A client that vanishes without a word, with the shortest timeout there is."""
    watcher = interview.client()
    vanishing = connect(interview.port, timeout_ms=4000)
    assert vanishing.session is not None
    interview.do(watcher, Create("~/x"))
    interview.do(vanishing, Create("~/x/e", flags=1))
    interview.do(watcher, Read(GET_CHILDREN, "~/x", True))
    vanishing.close()
    watcher.set_timeout(60)
    interview.hear("when a client has vanished", watcher)
    late = RawClient(interview.port)
    session = late.handshake(session_id=vanishing.session.id, password=vanishing.session.password)
    interview.note("when it comes back too late", told(session))


def ask_four_letter_words(interview: Interview) -> None:
    port = interview.port
    interview.note("ruok", repr(four_letter_word(port, b"ruok")))
    interview.note("isro", repr(four_letter_word(port, b"isro")))
    srvr = four_letter_word(port, b"srvr").splitlines()
    interview.note("srvr has", sorted(line.partition(":")[0] for line in srvr if "Proposal" not in line))
    interview.note("wchs ends", four_letter_word(port, b"wchs").split(":")[0].split()[-1])
    envi = four_letter_word(port, b"envi").splitlines()
    interview.note("envi begins", envi[0])
    interview.note("envi tells the version", any(line.startswith("zookeeper.version=3.") for line in envi))
    keys = {line.split("\t")[0] for line in four_letter_word(port, b"mntr").splitlines()}
    interview.note("mntr has", sorted(keys & CORE_METRICS))


CORE_METRICS = {
    f"zk_{name}"
    for name in (
        *("version", "server_state", "avg_latency", "min_latency", "max_latency", "packets_received"),
        *("packets_sent", "num_alive_connections", "outstanding_requests", "znode_count", "watch_count"),
        *("ephemerals_count", "approximate_data_size", "open_file_descriptor_count",
        "max_file_descriptor_count"), *("uptime", "global_sessions", "local_sessions"),
    )
}


def ask_everything(port: int) -> list[str]:
    interview = Interview(port)
    client = interview.client()
    interview.do(client, Create("~"))
    parts: tuple[Callable[[], None], ...] = (
        lambda: ask_about_connecting(interview),
        lambda: ask_in_turn(interview, client, CREATIONS),
        lambda: ask_in_turn(interview, client, READS),
        lambda: ask_in_turn(interview, client, WRITES),
        lambda: ask_about_authentication(interview),
        lambda: ask_about_sasl(interview),
        lambda: ask_in_turn(interview, client, MULTIS),
        lambda: ask_nonsense(interview),
        lambda: ask_about_watches(interview),
        lambda: ask_about_counters(interview),
        lambda: ask_in_one_packet(interview),
        lambda: ask_about_expiry(interview),
        lambda: ask_about_quotas(interview),
        lambda: ask_four_letter_words(interview),
    )
    for part in parts:
        part()
    return interview.lines


if __name__ == "__main__":
    print("\n".join(ask_everything(int(sys.argv[1]))))
