"""What is asked about watches, locks, elections and the limits of a request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.acceptance.cluster import wait_until
from tests.acceptance.etcd.api import Stream
from tests.acceptance.etcd.interview import Interview
from tests.acceptance.etcd.questions_kv import delete, put, revision
from tests.acceptance.etcd.schema import pb

PROGRESS = pb.WatchRequest(progress_request=pb.WatchProgressRequest())
SILENCE_S = 0.4


def create(**fields: Any) -> Any:
    return pb.WatchRequest(create_request=pb.WatchCreateRequest(**fields))


def cancel(number: int) -> Any:
    return pb.WatchRequest(cancel_request=pb.WatchCancelRequest(watch_id=number))


@contextlib.contextmanager
def watching(interview: Interview, question: str, *requests: Any, replies: int) -> Iterator[Stream]:
    """A watch stream on which `requests` were sent; as many replies are written down."""
    with interview.api.stream("Watch") as stream:
        for request in requests:
            stream.send(request)
        interview.hear(question, stream, replies)
        yield stream


def about_watches(interview: Interview) -> None:
    def ask(question: str, *requests: Any, replies: int, silence: bool = False) -> None:
        with watching(interview, question, *requests, replies=replies) as stream:
            if silence:
                interview.hear(question, stream, 1, SILENCE_S)

    call = interview.api.call
    a, w = {"key": b"a"}, {"key": b"w", "range_end": b"x"}
    ask("watch from what is compacted", create(**a, start_revision=1), replies=2)
    ask("watch from a negative revision", create(**a, start_revision=-1), replies=1)
    ask("watch an empty range", create(key=b"z", range_end=b"a"), replies=1)
    ask("watch with an id twice", create(**a, watch_id=5), create(key=b"b", watch_id=5), replies=2)
    ask("watch ids are chosen", create(**a), create(), create(**a, watch_id=9), create(**a), replies=4)
    ask("watch ids go around those taken", create(**a, watch_id=1), create(**a), create(**a), replies=3)
    ask("cancel what is not", create(**a), cancel(99), replies=1, silence=True)
    ask("cancel", create(**a), cancel(0), replies=2)
    ask("cancel twice", create(**a), cancel(0), cancel(0), replies=2, silence=True)
    ask("an id is free again", create(**a, watch_id=3), cancel(3), create(**a, watch_id=3), replies=3)
    ask("progress asked for", create(**a), PROGRESS, replies=2)
    ask("progress asked for without a watch", PROGRESS, replies=0, silence=True)
    now = revision(interview)
    call("Txn", success=[put(b"w1", b"1"), put(b"w2", b"2")])
    call("Put", key=b"w1", value=b"11")
    call("DeleteRange", key=b"w1")
    ask("history", create(**w, start_revision=now + 1), replies=2)
    ask("history with prev_kv", create(**w, start_revision=now + 1, prev_kv=True), replies=2)
    ask("history in its middle", create(**w, start_revision=now + 2, prev_kv=True), replies=2)
    ask("history without puts", create(**w, start_revision=now + 1, filters=[0]), replies=2)
    ask("history without deletes", create(**w, start_revision=now + 1, filters=[1]), replies=2)
    ask(
        "history without anything",
        create(**w, start_revision=now + 1, filters=[0, 1]),
        replies=1,
        silence=True,
    )
    ask("history of one key", create(key=b"w2", start_revision=now + 1), replies=2)
    ask("history from a key on", create(key=b"w2", range_end=b"\0", start_revision=now + 1), replies=2)
    ask("watch from the future", create(**w, start_revision=now + 1000), replies=1, silence=True)
    about_live_watches(interview)


def about_live_watches(interview: Interview) -> None:
    """Events as they happen."""
    call = interview.api.call
    with watching(interview, "watch", create(key=b"w", range_end=b"x", prev_kv=True), replies=1) as stream:
        call("Put", key=b"w1", value=b"1")
        interview.hear("a put is heard", stream, 1)
        call("Put", key=b"v", value=b"1")
        call("Put", key=b"w1", value=b"2")
        interview.hear("another put is heard", stream, 1)
        call("Txn", success=[delete(b"w1"), put(b"w2", b"3"), put(b"w0", b"0")])
        interview.hear("a transaction is heard at once", stream, 1)
        call("LeaseGrant", ID=70, TTL=60)
        call("Put", key=b"w9", lease=70)
        interview.hear("a put with a lease is heard", stream, 1)
        call("Put", key=b"w8", lease=70)
        interview.hear("a second one is heard", stream, 1)
        call("LeaseRevoke", ID=70)
        interview.hear("the revocation is heard at once", stream, 1)
        stream.send(cancel(0))
        interview.hear("cancelled", stream, 1)
        call("Put", key=b"w1", value=b"4")
        interview.hear("nothing more is heard", stream, 1, SILENCE_S)
    with watching(interview, "watch without puts", create(key=b"w1", filters=[0]), replies=1) as stream:
        call("Put", key=b"w1", value=b"5")
        call("DeleteRange", key=b"w1")
        interview.hear("only the deletion is heard", stream, 1)
    now = revision(interview)
    later = create(key=b"w1", start_revision=now + 3)
    with watching(interview, "watch from a little later", later, replies=1) as stream:
        for number in range(4):
            call("Put", key=b"w1", value=b"%d" % number)
        heard = []
        while not heard or heard[-1].kv.value != b"3":
            heard += stream.next().events
        interview.say("only what is late enough is heard", str([each.kv.value.decode() for each in heard]))


def about_locks(interview: Interview) -> None:
    ask, call = interview.ask, interview.api.call
    mine = call("LeaseGrant", TTL=100).ID
    interview.name_lease(mine)
    interview.attempt("lock without a lease", lambda: call("Lock", name=b"lk").key.startswith(b"lk/"))
    lock = ask("lock", "Lock", name=b"lk2", lease=mine)
    ask("lock again with the same lease", "Lock", name=b"lk2", lease=mine)
    ask("lock with a bad lease", "Lock", name=b"lk3", lease=5555)
    ask("what a lock looks like", "Range", key=lock.key if lock else b"lk2")
    interview.run_out_of_time("lock that somebody has", "Lock", name=b"lk", lease=mine, timeout_s=1.0)
    wait_until(lambda: call("Range", key=b"lk/", range_end=b"lk0").count == 1, 30, "who gave up is gone")
    ask("unlock", "Unlock", key=lock.key if lock else b"lk2")
    ask("unlock again", "Unlock", key=lock.key if lock else b"lk2")
    ask("unlock nothing", "Unlock")
    ask("leader of nothing", "Leader", name=b"el")
    won = ask("campaign", "Campaign", name=b"el", lease=mine, value=b"v")
    leader = won.leader if won else pb.LeaderKey()
    ask("leader", "Leader", name=b"el")
    ask("campaign again", "Campaign", name=b"el", lease=mine, value=b"v1")
    ask("proclaim", "Proclaim", leader=leader, value=b"v2")
    ask("leader after it proclaimed", "Leader", name=b"el")
    ask("proclaim nothing", "Proclaim")
    ask("resign nothing", "Resign")
    with interview.api.stream("Observe", pb.LeaderRequest(name=b"el")) as stream:
        interview.hear("observed", stream, 1)
        call("Proclaim", leader=leader, value=b"v3")
        interview.hear("observed when it proclaims", stream, 1)
    ask("resign", "Resign", leader=leader)
    ask("proclaim after it resigned", "Proclaim", leader=leader, value=b"v4")
    ask("resign again", "Resign", leader=leader)
    ask("campaign with a bad lease", "Campaign", name=b"el", lease=5555, value=b"v")
    ask("campaign without a lease", "Campaign", name=b"el2", value=b"v")


REQUEST_BYTES = 1_572_864


def about_limits(interview: Interview) -> None:
    ask = interview.ask
    ask("put of 1.5 MiB", "Put", key=b"big", value=bytes(REQUEST_BYTES - 20))
    ask("put of a little less", "Put", key=b"big", value=bytes(REQUEST_BYTES - 100))
    ask("put of a little more", "Put", key=b"big", value=bytes(1_600_000))
    ask("put of 3 MB", "Put", key=b"big", value=bytes(3_000_000))
    interview.api.call("DeleteRange", key=b"big")
    raw = interview.api.raw
    interview.attempt("unknown method", lambda: raw("/etcdserverpb.KV/Nope", b""))
    interview.attempt("unknown service", lambda: raw("/nope.X/Y", b""))
    interview.attempt("no path", lambda: raw("/", b""))
    interview.attempt("no protobuf", lambda: raw("/etcdserverpb.KV/Range", b"\xff\xff"))
    interview.attempt("health", lambda: raw("/grpc.health.v1.Health/Check", b""))
    interview.attempt("health of something", lambda: raw("/grpc.health.v1.Health/Check", b"\n\x03foo"))
    reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    interview.attempt("reflection", lambda: raw(reflection, b""))
