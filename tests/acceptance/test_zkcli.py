"""zkCli, ZooKeeper's own shell, has the same conversation with our cluster as with a real ensemble.

The sessions below use every command it has, with every option that reaches a server.  Each is held twice,
with three nodes of ours and with three of ZooKeeper's, and what was printed is compared line by line, save
what `zkcli.py` says is by nature another one in each run, and what stands in `DELIBERATE`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kazoo.client import KazooClient

from tests.acceptance.cluster import (
    SUPER_DIGEST,
    Cluster,
    Ensemble,
    Node,
    ZooKeeperEnsemble,
    changes_members,
    version_of,
    wait_until,
)
from tests.acceptance.zkcli import GREETING, Answer, Session, comparable, run_shell, shell_classpath, talk

pytestmark = [
    pytest.mark.skipif(
        shell_classpath() is None,
        reason="ZooKeeper's shell is not installed: `make peers` does it where there is apt",
    ),
]

EVERY_DAY = """\
version
ls /
ls -R /
ls -s /
create /a
create /a
create /a/b data
create /a/ünïcode ☃
get /a/ünïcode
create "/a/with space" "some words"
get "/a/with space"
delete "/a/with space"
create -s /a/seq- x
create -s /a/seq- y
create -e /a/eph e
create -e -s /a/eph- e
create -s /a/ x
create -c /box
create -c /box/in x
create -t 600000 /ttl t
create -s -t 600000 /ttl- t
stat /box
stat /ttl
create -e -t 5 /wrong
create -t 0 /wrong
create -c -e /wrong
create /missing/child
create /bad//path
create relative
create /a/eph/child
create /acl3 d nonsense:a:r
create /acl4 d world:anyone:zz
create /acl5 d auth::r
get /a/b
get -s /a/b
get /missing
get
get -x /a
nonsense
set /a/b data2
set -v 0 /a/b data3
set -v 1 /a/b data3
set -s /a/b data4
set /missing x
ls /a
ls -s /a
ls -R /a
ls /missing
stat /a
stat /missing
create /a/c
delete -v 7 /a/c
delete -v 0 /a/c
delete /a
delete /missing
delete /
delete /zookeeper
delete /zookeeper/quota
create /zookeeper/mine x
delete /zookeeper/mine
sync /
sync /missing
getEphemerals
getEphemerals /a
getEphemerals /a/eph-
getEphemerals /nobody
getAllChildrenNumber /
getAllChildrenNumber /a
getAllChildrenNumber /missing
history
redo 0
redo 9999
"""

WHO_MAY = """\
whoami
create /acl d world:anyone:r
create /acl2 d digest:user:x:cdrwa,ip:127.0.0.1:r
getAcl /acl
getAcl -s /acl2
getAcl /acl2
getAcl /missing
setAcl /acl world:anyone:cdrwa
create /mine
setAcl /mine world:anyone:cdrwa
setAcl -s -v 0 /mine world:anyone:cdrwa
setAcl -v 1 /mine world:anyone:ra
setAcl -v 1 /mine world:anyone:r
setAcl -s -v 2 /mine world:anyone:r
set /mine refused
create /mine/refused
setAcl /mine world:anyone:cdrwa
create /tree
create /tree/branch
setAcl /tree nonsense:x:r
setAcl -R /tree world:anyone:cdrwa
setAcl -R -s /tree world:anyone:cdrwa
getAcl -s /tree/branch
addauth digest user:secret
whoami
create /private x auth::cdrwa
getAcl /private
get /private
setAcl /private digest:other:x:cdrwa
get /private
getAcl /private
addauth digest super:test
whoami
get /private
getAcl /private
set /mine allowed
deleteall /private
addauth nonsense x
whoami
"""

QUOTAS = """\
create /q
create /q/b x
create /q/b/c x
setquota -n 4 /q
setquota -b 100 /q
setquota -n 4 /q/b
setquota -N 5 /q
setquota -B 20 /q
setquota -n 4 /missing
listquota /q
listquota /q/b
listquota /missing
create /q/d 123456789
create /q/e 1
create /q/f 1
set /q/d 1234567890123456789012345
set /q/d 1
get /zookeeper/quota/q/zookeeper_stats
get /zookeeper/quota/q/zookeeper_limits
listquota /q
delquota -n /q
listquota /q
delquota -b /q
delquota -N /q
delquota -B /q
delquota /q
listquota /q
delquota /q
ls -R /zookeeper
deleteall /q/b
ls -R /q
deleteall /q -b 1
deleteall /missing
"""

WATCHES = """\
create /w
get -w /w
set /w 1
set /w 2
ls -w /w
create /w/x
create /w/y
stat -w /w/y
delete /w/y
stat -w /later
create /later
ls -R -w /w
create /w/x/deep
set /w/x 1
deleteall /w/x
get -w /w
delete /w
create /w
addWatch -m PERSISTENT /w
create /w/x
set /w 1
set /w/x 1
create /w/x/deep
delete /w/x/deep
delete /w/x
removewatches /w -a
set /w 2
create /r
addWatch /r
create /r/x
set /r/x 1
create /r/x/deep
set /r 1
delete /r/x/deep
delete /r/x
delete /r
create /r
removewatches /r
create /deep
addWatch -m PERSISTENT_RECURSIVE /deep
create /deep/x
set /deep/x 1
create /deep/x/y
set /deep 1
deleteall /deep
create /deep
set /deep 1
removewatches /deep
set /deep 2
set /r 2
addWatch -m NONSENSE /r
get -w /r
ls -w /r
removewatches /r -d
removewatches /r -d
removewatches /r -c
removewatches /r -c -l
removewatches /nowatch -a
create /two
addWatch -m PERSISTENT /two
addWatch -m PERSISTENT_RECURSIVE /two
create /two/child
config -w
config
config -s
config -c
create /unseen
get -w /unseen
sync /
sync /
sync /
printwatches off
set /unseen 1
sync /
sync /
sync /
printwatches on
"""

MEMBERS = """\
reconfig -remove {removed}
addauth digest super:test
reconfig -v 5 -remove {removed}
reconfig -add nonsense
getAcl /zookeeper/config
connect {other}
ls /
getEphemerals
create -e /moved x
create /below
close
ls /
connect {other}/below
ls /
create /in
create -s /in-
create -e /in/e x
getEphemerals
ls -R /
stat /in
get /moved
sync /
deleteall /in
getAllChildrenNumber /
connect {first}
addauth digest super:test
ls /
addWatch /zookeeper/config
reconfig -remove {removed}
config
create /after_the_change x
get -s /zookeeper/config
reconfig -members {kept}
reconfig -s -remove 99
reconfig -add {removed_line}
reconfig -add server.77=127.0.0.1:1:2:participant
reconfig -add server.77=127.0.0.1:1:2:participant;127.0.0.1:3
"""

ONCE = (
    ("get", "/missing"),
    ("-timeout", "5000", "-waitforconnection", "create", "/one_shot", "x"),
    ("-r", "get", "/one_shot"),
)
"""What the shell is asked to do once and to go: with the exit code it has."""


SCRIPTS = {
    "every day": EVERY_DAY,
    "who may": WHO_MAY,
    "quotas": QUOTAS,
    "watches": WATCHES,
    "members": MEMBERS,
}


class Deliberate(NamedTuple):
    """Lines that are other ones with us, and why.  `command` is the one they answer, or `NODE_EVENTS`."""

    script: str
    command: str
    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    reason: str
    before: tuple[int, ...] = (99,)
    """ZooKeepers from this version on do as we do."""


NODE_EVENTS = "(node events)"

NOT_CONNECTED = (
    "No quorum of new config is connected and up-to-date with the leader of last committed config"
    " - try invoking reconfiguration after new servers are connected and synced",
)

STAT_OF_CONFIGURATION = """\
cZxid = 0x(zxid 0)
ctime = Thu Jan 01 00:00:00 UTC 1970
mZxid = 0x(zxid {rank})
mtime = (a time)
pZxid = 0x(zxid 0)
cversion = 0
dataVersion = -1
aclVersion = -1
ephemeralOwner = 0x0
dataLength = (some)
numChildren = 0"""


def committed(rank: int, *parts: str, stat: bool = False) -> tuple[str, ...]:
    """The answer to a reconfig that was done."""
    lines = ["Committed new configuration:", f"version=(zxid {rank})"]
    if stat:
        lines += STAT_OF_CONFIGURATION.format(rank=rank).splitlines()
    lines += [
        part if "=" in part else f"server.({part})=(peer address):participant;(client address of {part})"
        for part in parts
    ]
    return tuple(lines)


NOTHING_TO_WRITE = "a change that changes nothing is answered, and not written down again"
NEWCOMER = "server.77=127.0.0.1:1:2:participant;127.0.0.1:3"

DELIBERATE = (
    Deliberate(
        "watches",
        NODE_EVENTS,
        ("NodeCreated /two/child",),
        ("NodeCreated /two/child", "NodeChildrenChanged /two"),
        "a persistent and a recursive watch on one path stand side by side since ZooKeeper 3.9; before, the"
        " second took the place of the first",
        before=(3, 9),
    ),
    Deliberate(
        "members",
        "reconfig -members {kept}",
        committed(4, "first", "other"),
        committed(3, "first", "other"),
        NOTHING_TO_WRITE,
    ),
    Deliberate(
        "members",
        "reconfig -s -remove 99",
        committed(5, "first", "other", stat=True),
        committed(3, "first", "other", stat=True),
        NOTHING_TO_WRITE,
    ),
    Deliberate(
        "members",
        "reconfig -add {removed_line}",
        committed(6, "first", "other", "removed"),
        NOT_CONNECTED,
        "a removed node has stopped: it comes back as a new one, as the last test here shows",
    ),
    Deliberate(
        "members",
        "reconfig -add server.77=127.0.0.1:1:2:participant",
        ("Arguments are not valid : ",),
        NOT_CONNECTED,
        "a server may have no address for clients; but nobody votes who has not called",
    ),
    Deliberate(
        "members",
        f"reconfig -add {NEWCOMER}",
        committed(7, "first", "other", "removed", NEWCOMER),
        NOT_CONNECTED,
        "a voter that has never called could be anybody, and would count against every majority",
    ),
    Deliberate(
        "members",
        NODE_EVENTS,
        ("NodeDataChanged /zookeeper/config",) * 10,
        ("NodeDataChanged /zookeeper/config",),
        "five changes there (of which we wrote the first), and each is told twice",
    ),
)


class ReconfigurablePeer(ZooKeeperEnsemble):
    """The peer, with the addresses of clients in its configuration, as a reconfigurable ensemble has them."""

    def _configuration(self, node: Node) -> str:
        lines = super()._configuration(node).splitlines()
        by_name = {f"server.{each.name}=": each for each in self.nodes}
        told = []
        for line in lines:
            server = next((each for start, each in by_name.items() if line.startswith(start)), None)
            if server is not None:
                line += f":participant;{server.address}"
            if not line.startswith("clientPort"):
                told.append(line)
        return "\n".join(told) + "\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Ensemble]:
    with Cluster(3, options=["--super-digest", SUPER_DIGEST]) as ensemble:
        yield ensemble


@pytest.fixture(scope="module")
def peer() -> Iterator[Ensemble]:
    with ReconfigurablePeer(3) as ensemble:
        yield ensemble


def configuration_lines(node: Node) -> dict[str, str]:
    """The lines of /zookeeper/config by the last digit of the node's name."""
    client = KazooClient(node.address)
    client.start(60)
    try:
        text = client.get("/zookeeper/config")[0].decode()
    finally:
        client.stop()
        client.close()
    lines = [line for line in text.splitlines() if line.startswith("server.")]
    return {line.removeprefix("server.").partition("=")[0]: line for line in lines}


def hold(script: str, ensemble: Ensemble, directory: Path) -> Session:
    """The session with a follower, with the blanks of the script filled in; the other follower is removed."""
    leader = ensemble.wait_for_leader()
    first, removed = [node for node in ensemble.nodes if node is not leader]
    lines = configuration_lines(first)
    blanks = {
        "first": first.address,
        "other": leader.address,
        "removed": removed.name[-1],
        "removed_line": lines[removed.name[-1]],
        "kept": ",".join(lines[node.name[-1]] for node in (first, leader)),
    }
    session = talk(first.address, script.format(**blanks).splitlines(), directory)
    answers = [
        Answer(command, answer.lines)
        for command, answer in zip(script.splitlines(), session.answers, strict=True)
    ]
    return comparable(
        session._replace(answers=answers), {"first": first, "removed": removed, "other": leader}
    )


def expected_of_us(script: str, session: Session, version: tuple[int, ...]) -> Session:
    """What ZooKeeper of this version said, with what is different on purpose put in its place.

    Each difference must be there to be replaced: ValueError where it is not what ZooKeeper says.
    """
    answers, events = list(session.answers), list(session.node_events)
    for where, command, theirs, ours, _, before in DELIBERATE:
        if where != script or version >= before:
            continue
        if command == NODE_EVENTS:
            starts = range(len(events) - len(theirs) + 1)
            start = [tuple(events[start : start + len(theirs)]) for start in starts].index(theirs)
            events[start : start + len(theirs)] = ours
        else:
            answers[answers.index(Answer(command, theirs))] = Answer(command, ours)
    return Session(answers, events, session.session_events)


CONNECTED = ("WATCHER::", "WatchedEvent state:SyncConnected")


def test_it_does_one_thing_and_goes(cluster: Ensemble, peer: Ensemble, tmp_path: Path) -> None:
    """With the same words and the same exit code."""
    for arguments in ONCE:
        outcomes = []
        for ensemble in (peer, cluster):
            done = run_shell(["-server", ensemble.hosts, *arguments], tmp_path)
            # That it is connected it says from another thread, before the answer or behind it.
            said = [line for line in done.stdout.splitlines() if line and not line.startswith(CONNECTED)]
            lines = [line for line in said if not line.startswith(GREETING)]
            outcomes.append((done.returncode, lines))
        assert outcomes[0] == outcomes[1], arguments


def is_expected(script: str, ours: Session, theirs: Session, version: tuple[int, ...]) -> bool:
    try:
        return ours == expected_of_us(script, theirs, version)
    except ValueError:
        return False


@pytest.mark.parametrize(
    "script", [pytest.param(name, marks=[changes_members] if name == "members" else []) for name in SCRIPTS]
)
def test_it_has_the_same_conversation_with_us(
    script: str, cluster: Ensemble, peer: Ensemble, tmp_path: Path
) -> None:
    version = version_of(peer.nodes[0])
    theirs = hold(SCRIPTS[script], peer, tmp_path)
    ours = hold(SCRIPTS[script], cluster, tmp_path)
    if not is_expected(script, ours, theirs, version):
        # A leader of ZooKeeper that is busy lets writes through by an access list that has been replaced,
        # until it has applied the new one itself.
        with ReconfigurablePeer(3) as anew:
            theirs = hold(SCRIPTS[script], anew, tmp_path)
    expected = expected_of_us(script, theirs, version)
    if any(
        "Not connected" in set(answer.lines) - set(wanted.lines)
        for answer, wanted in zip(ours.answers, expected.answers, strict=True)
    ):
        # The shell gives up a command where its connection does not stand at that very moment, as after a
        # pause of a slow machine.  That says nothing of us, if it does not come again.
        with Cluster(3, options=["--super-digest", SUPER_DIGEST]) as fresh:
            ours = hold(SCRIPTS[script], fresh, tmp_path)
    for answer, wanted in zip(ours.answers, expected.answers, strict=True):
        assert answer == wanted
    assert ours.node_events == expected.node_events
    assert ours.session_events == expected.session_events


@changes_members
def test_a_removed_node_comes_back_as_a_new_one(tmp_path: Path) -> None:
    """Its directory is given up, it is started to join, and `reconfig` takes it in under its old number."""
    with Cluster(3, options=["--super-digest", SUPER_DIGEST]) as cluster:
        leader = cluster.wait_for_leader()
        first, removed = [node for node in cluster.nodes if node is not leader]
        line = configuration_lines(first)[removed.name[-1]]
        script = f"addauth digest super:test\nreconfig -remove {removed.name[-1]}\ncreate /meanwhile x"
        talk(first.address, script.splitlines(), tmp_path)
        wait_until(lambda: removed.mode() is None, 30, "the removed node has stopped serving")
        removed.kill()
        shutil.rmtree(removed.data_directory)
        removed.command.append("--join")
        removed.start()

        def taken_in() -> bool:
            script = f"addauth digest super:test\nreconfig -add {line}"
            return (
                "Committed new configuration:"
                in talk(leader.address, script.splitlines(), tmp_path)[0][1].lines
            )

        wait_until(taken_in, 60, "the node has called, and may vote")
        cluster.wait_until_serving([removed])
        assert talk(removed.address, ["get /meanwhile"], tmp_path).answers == [("get /meanwhile", ("x",))]
