"""What is typed in the sessions with etcdctl, command by command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from tests.acceptance.cluster import wait_until
from tests.acceptance.etcd.etcdctl import PATIENCE_S, Session

TXN_ON_TRUE = """\
value("k1") = "v1"
version("k2") > "0"
mod("none") = "0"

put k1 changed
get k1
del k3

get k2

"""
TXN_ON_FALSE = 'create("k1") = "0"\n\nput never x\n\nget k1 k3 --limit=1\nput instead "two words"\n\n'


def keys(s: Session) -> None:
    s("get", "nothing")
    for number in (1, 2, 3):
        s("put", f"k{number}", f"v{number}")
    s("put", "k1", "v1", "--prev-kv")
    s("put", "k2", "--ignore-value")
    s("put", "k9", "--ignore-value")
    s("put", "k9", "--ignore-lease", "v")
    s("put", "dashed", "--", "-v")
    s("put", "from-stdin", stdin="said on stdin")
    s("put", "k1", "v", "--lease=123")
    s.ask_one()
    for flags in (
        "",
        "--prefix",
        "--prefix --keys-only",
        "--prefix --count-only --write-out=fields",
        "--prefix --limit=2",
        "--prefix --print-value-only",
        "--prefix --sort-by=MODIFY --order=DESCEND",
        "--prefix --sort-by=CREATE",
        "--prefix --sort-by=VALUE --order=DESCEND",
        "--prefix --sort-by=VERSION --limit=1",
        "--prefix --hex",
        "--prefix -w json",
        "--prefix -w fields",
        "--rev=3",
        "--rev=99999",
        "--consistency=s",
        "--consistency=x",
        "--order=SIDEWAYS",
    ):
        s("get", "k1" if not flags.startswith("--prefix") else "k", *flags.split())
    s("get", "k1", "k3")
    s("get", "k2", "--from-key")
    s("get", "", "--prefix", "--keys-only")
    s("get", "")
    s("get")
    s("put", "")
    s("del", "k3", "--prev-kv")
    s("del", "k3")
    s("put", "k3", "v3")
    s("txn", stdin=TXN_ON_TRUE)
    s("txn", stdin=TXN_ON_FALSE)
    s("txn", stdin="nonsense\n\n\n\n")
    s("txn", "-w", "json", stdin='\n\nget k1\nput k1 "again"\n\n\n')
    s("txn", "-w", "fields", stdin='value("k1") = "again"\n\nget k1\ndel k2\nput k5 5\n\n\n')
    s("del", "k1", "k3")
    s("del", "k", "--prefix", "-w", "json")
    s("del", "", "--prefix")
    s("del", "", "--from-key")
    s("compaction", "4")
    s("compaction", "4")
    s("compaction", "5", "--physical")
    s("compaction", "99999")
    s("compaction", "x")
    s("get", "k1", "--rev=3")
    s("defrag")
    s("check")
    s("nonsense")


def watches(s: Session) -> None:
    s("put", "w0", "before")
    revision = json.loads(s("put", "w0", "before too", "-w", "json", keep=False))["header"]["revision"]
    s.secrets["rev"] = str(revision)
    with s.running("watch", "w", "--prefix", "--prev-kv", "--rev={rev}", lines=18):
        s.until_spoken(3)
        s("put", "w1", "1", keep=False)
        s("put", "w1", "2", keep=False)
        s("del", "w1", keep=False)
        s("txn", stdin="\n\nput w3 3\nput w4 4\n\n\n", keep=False)
    with s.running("watch", "w0", "w3", "--rev={rev}", "-w", "json", lines=1):
        pass
    with s.running(
        "watch", "w", "--prefix", "--rev={rev}", "--", "sh", "-c", "env | grep ETCD_WATCH_KEY", lines=16
    ):
        pass
    s("compaction", "{rev}")
    s("put", "w0", "after")
    s("compaction", str(revision + 3))
    with s.running("watch", "w", "--prefix", "--rev=1", lines=0):
        pass
    with s.running("watch", "-i", stdin=f"watch w0 --rev={revision + 4}\n", lines=3):
        pass


def leases(s: Session) -> None:
    s.ask_one()
    lease = _lease_of(s("lease", "grant", "600"))
    s.secrets["lease"] = lease
    s("lease", "grant")
    s("lease", "grant", "x")
    s("put", "l1", "v", "--lease={lease}")
    s("put", "l2", "v", "--lease={lease}")
    s("get", "l1", "-w", "json")
    s("put", "l1", "new", "--ignore-lease")
    s("lease", "timetolive", "{lease}")
    s("lease", "timetolive", "{lease}", "--keys")
    s("lease", "timetolive", "{lease}", "--keys", "-w", "json")
    s("lease", "timetolive", "4242")
    s("lease", "keep-alive", "--once", "{lease}")
    s("lease", "keep-alive", "--once", "4242")
    with s.running("lease", "keep-alive", "{lease}", lines=1):
        pass
    s("lease", "list")
    s("lease", "list", "-w", "json")
    s("lease", "revoke", "{lease}")
    s("lease", "revoke", "{lease}")
    s("get", "l", "--prefix")
    s("lease", "grant", "600", "-w", "json")
    s("lease", "list", "-w", "fields")


def _lease_of(said: str) -> str:
    found = re.search(r"lease (\w+) granted", said)
    return found[1] if found else "0"


def locks(s: Session) -> None:
    s("lock", "mutex", "--", "sh", "-c", "echo $ETCD_LOCK_REV | wc -w")
    s("lock", "mutex", "--", "sh", "-c", "exit 3")
    s("lock", "mutex", "--ttl=20", "echo", "held")
    with s.running("lock", "mutex", lines=1):
        s.until_spoken(1)
        s("get", "mutex", "--prefix", "--keys-only")
    wait_until(lambda: not s("get", "mutex", "--prefix", keep=False), PATIENCE_S, "the lock is given back")
    s("get", "mutex", "--prefix", "--count-only", "-w", "fields")
    with s.running("elect", "post", "me", lines=2):
        s.until_spoken(2)
        s("get", "post", "--prefix", "--print-value-only")
    s("get", "post", "--prefix")
    s("elect")
    s("lock")


def members(s: Session) -> None:
    s.ask_one()
    s("member", "list")
    s("member", "list", "-w", "table")
    s("member", "list", "-w", "json")
    s("member", "add", "n4")
    s("member", "add", "n4", "--peer-urls=nonsense")
    wait_until(lambda: _added(s), PATIENCE_S, "a member can be added")
    s("member", "list")
    s("member", "add", "n5", "--learner", "--peer-urls=http://127.0.0.1:1")
    s("member", "update", "{added}", "--peer-urls=http://127.0.0.1:3")
    s("member", "promote", "{added}")
    s("member", "list", "-w", "simple")
    s("member", "remove", "{added}")
    s("member", "remove", "{added}")
    s("member", "remove", "4242")
    s("member", "remove", "x")
    s("member", "promote", "4242")
    s("member", "list")
    s.secrets["voter"] = f"{s.members()['n3']:x}"
    s("member", "promote", "{voter}")


def _added(s: Session) -> bool:
    """A real server refuses for the first seconds, until it has met the others."""
    said = s("member", "add", "n4", "--learner", "--peer-urls=http://127.0.0.1:2", keep=False)
    found = re.search(r"Member\s+(\w+) added", said)
    if found:
        s.secrets["added"] = found[1]
    return found is not None


def cluster(s: Session) -> None:
    s("put", "c", "1")
    s("version")
    s.let_lead(0)
    for command in ("health", "status", "hashkv"):
        s("endpoint", command)
        s("endpoint", command, "--cluster")
        s("endpoint", command, "-w", "fields", at=s.cluster.etcd_addresses[:1])
        s("endpoint", command, "-w", "json")
    s("endpoint", "status", "-w", "table")
    s("endpoint", "hashkv", "--rev=2")
    s("endpoint", "hashkv", "--rev=99999")
    s("endpoint", "health", "--dial-timeout=200ms", "--command-timeout=500ms", at=["127.0.0.1:1"])
    s("alarm", "list")
    s("alarm", "disarm")
    s("defrag")
    s("defrag", "--cluster")
    leader, other, *_ = s.cluster.etcd_addresses
    s.secrets["to"] = f"{s.members()['n2']:x}"
    s("move-leader", "{to}", at=[other])
    s("move-leader", "4242", at=[leader])
    s("move-leader", "x", at=[leader])
    s("move-leader", "{to}", at=[leader])
    s("put", "c", "2")


def snapshots(s: Session) -> None:
    one = s.cluster.etcd_addresses[:1]
    s("put", "kept", "1")
    s("snapshot", "save", "kept.db", at=one)
    s("snapshot", "save", "kept.db")
    s("snapshot", "save")


def authentication(s: Session) -> None:
    s("auth", "status")
    s("auth", "enable")
    s("user", "add", "root:pw")
    s("user", "add", "root:pw")
    s("user", "add", "u", "--new-user-password=p")
    s("user", "add", "plain", "--no-password")
    s("user", "add", "silent", "--interactive=false", stdin="secret\n")
    s("role", "add", "root")
    s("role", "add", "r")
    s("role", "add", "r")
    s("user", "grant-role", "root", "root")
    s("user", "grant-role", "u", "r")
    s("user", "grant-role", "u", "none")
    s("role", "grant-permission", "r", "readwrite", "p/", "--prefix")
    s("role", "grant-permission", "r", "read", "a", "c")
    s("role", "grant-permission", "r", "write", "w")
    s("role", "grant-permission", "r", "read", "z", "--from-key")
    s("role", "grant-permission", "r", "nonsense", "a")
    s("role", "get", "r")
    s("role", "get", "r", "-w", "json")
    s("role", "get", "none")
    s("role", "list")
    s("user", "list")
    s("user", "get", "u")
    s("user", "get", "u", "--detail")
    s("user", "get", "none")
    s("role", "revoke-permission", "r", "w")
    s("role", "revoke-permission", "r", "w")
    s("role", "revoke-permission", "r", "z", "--from-key")
    s("user", "revoke-role", "u", "root")
    s("put", "p/0", "before")
    s("auth", "enable")
    _while_enabled(s)
    s("auth", "disable", "--user=root:pw")
    s("get", "p/", "--prefix")
    s("user", "delete", "root")
    s("user", "delete", "u")
    s("user", "delete", "u")
    s("role", "delete", "r")
    s("role", "list")
    s("user", "list")


def _while_enabled(s: Session) -> None:
    s("get", "p/0")
    s("get", "p/0", "--user=u:wrong")
    s("get", "p/0", "--user=u:p")
    s("get", "p/0", "--user=u", "--password=p")
    s("put", "p/1", "1", "--user=u:p")
    s("put", "a", "1", "--user=u:p")
    s("get", "a", "--user=u:p")
    s("get", "a", "z", "--user=u:p")
    s("del", "p/", "--prefix", "--user=u:p")
    s("txn", "--user=u:p", stdin="\n\nget a\nput q 1\n\n\n")
    s("user", "list", "--user=u:p")
    s("user", "get", "u", "--user=u:p")
    s("auth", "status", "--user=root:pw")
    s("endpoint", "health", "--user=root:pw")
    s("user", "passwd", "u", "--interactive=false", "--user=root:pw", stdin="p2\n")
    s("get", "a", "--user=u:p")
    s("get", "a", "--user=u:p2")
    s("user", "delete", "root", "--user=root:pw")
    s("lease", "grant", "600", "--user=u:p2")
    s("defrag", "--user=u:p2")
    s("alarm", "list", "--user=root:pw")
    s("member", "list", "--user=root:pw")


SCRIPTS: dict[str, Callable[[Session], None]] = {
    each.__name__: each
    for each in (keys, watches, leases, locks, snapshots, cluster, members, authentication)
}
"""In this order: the last one comes to an end without users."""
