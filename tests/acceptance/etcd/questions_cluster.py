"""What is asked about alarms, hashes, snapshots, downgrades and the members of a cluster of one."""

from __future__ import annotations

import hashlib

from tests.acceptance.etcd.ensemble import get
from tests.acceptance.etcd.interview import Interview
from tests.acceptance.etcd.questions_kv import delete, put

FETCH, ACTIVATE, DEACTIVATE = range(3)
NONE, NOSPACE, CORRUPT = range(3)


def about_alarms(interview: Interview) -> None:
    ask = interview.ask
    ask("alarms", "Alarm", action=FETCH)
    ask("alarm of no kind", "Alarm", action=ACTIVATE, alarm=NONE)
    ask("no space, member 0", "Alarm", action=ACTIVATE, alarm=NOSPACE)
    ask("alarms with one", "Alarm", action=FETCH)
    ask("alarms of another kind", "Alarm", action=FETCH, alarm=CORRUPT)
    ask("no space: put", "Put", key=b"a")
    ask("no space: delete", "DeleteRange", key=b"a")
    ask("no space: grant", "LeaseGrant", TTL=100)
    ask("no space: txn that deletes", "Txn", success=[delete(b"a")])
    ask("no space: txn that puts", "Txn", success=[put(b"a")])
    ask("no space: txn that puts in the branch not taken", "Txn", failure=[put(b"a")])
    ask("no space: range", "Range", key=b"a")
    ask("no space: status", "Status")
    for path in ("/health", "/health?exclude=NOSPACE", "/health?serializable=true"):
        interview.attempt(f"no space: {path}", lambda path=path: get(interview.api.address, path))
    ask("disarm", "Alarm", action=DEACTIVATE, alarm=NOSPACE)
    ask("disarm again", "Alarm", action=DEACTIVATE, alarm=NOSPACE)
    ask("corrupt", "Alarm", action=ACTIVATE, alarm=CORRUPT)
    ask("corrupt: range", "Range", key=b"a")
    ask("corrupt: put", "Put", key=b"a")
    ask("corrupt: delete", "DeleteRange", key=b"a")
    ask("corrupt: txn", "Txn", success=[put(b"a")])
    ask("corrupt: grant", "LeaseGrant", TTL=100)
    ask("corrupt: compact", "Compact", revision=1)
    ask("corrupt: disarm", "Alarm", action=DEACTIVATE, alarm=CORRUPT)


def about_maintenance(interview: Interview) -> None:
    ask = interview.ask
    ask("hash", "Hash")
    ask("hash of keys", "HashKV")
    ask("hash of keys in the future", "HashKV", revision=99999)
    ask("hash of keys that are compacted", "HashKV", revision=1)
    ask("defragment", "Defragment")
    interview.attempt("snapshot", lambda: _snapshot(interview))
    ask("downgrade: validate", "Downgrade", action=0, version="3.4.0")
    ask("downgrade: validate nonsense", "Downgrade", action=0, version="x")
    ask("downgrade: validate too far", "Downgrade", action=0, version="3.1.0")
    ask("downgrade: cancel", "Downgrade", action=2)
    ask("downgrade: unknown action", "Downgrade", action=9)


def _snapshot(interview: Interview) -> str:
    pieces = interview.api.call("Snapshot")
    *blobs, last = [piece.blob for piece in pieces]
    content = b"".join(blobs)
    remaining = [piece.remaining_bytes for piece in pieces]
    told = [len(content) - sum(map(len, blobs[: number + 1])) for number in range(len(blobs))]
    return (
        f"a multiple of 512 bytes: {len(content) % 512 == 0}"
        f", its SHA-256: {last == hashlib.sha256(content).digest()}"
        f", what remains is told: {remaining == [*told, 0]}, header: {pieces[0].HasField('header')}"
    )


def about_members(interview: Interview) -> None:
    """Of a cluster of one."""
    ask = interview.ask
    ask("move the leader to nobody", "MoveLeader", targetID=1)
    ask("members", "MemberList")
    ask("members, agreed", "MemberList", linearizable=True)
    ask("remove an unknown member", "MemberRemove", ID=1)
    ask("promote an unknown member", "MemberPromote", ID=1)
    ask("update an unknown member", "MemberUpdate", ID=1, peerURLs=["http://127.0.0.1:9999"])
    ask("add a member with a bad address", "MemberAdd", peerURLs=["foo"])
    ask("add a member without an address", "MemberAdd")
    (me,) = interview.api.call("MemberList").members
    ask("remove the last member", "MemberRemove", ID=me.ID)
    ask("promote a member that votes", "MemberPromote", ID=me.ID)
    ask("add a member with an address that is taken", "MemberAdd", peerURLs=list(me.peerURLs))
    ask("move the leader to itself", "MoveLeader", targetID=me.ID)
