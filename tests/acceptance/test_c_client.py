"""The C library of ZooKeeper, to which many other languages bind, works with us as with ZooKeeper.

`c_client.c` is compiled against it and told what to do.  The same conversation is held with three nodes of
ours and with a real ensemble, and has to be the same, word for word; and a client whose node is killed goes
on at another one, with its session, its ephemeral nodes and its watches.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError

from tests.acceptance.cluster import (
    NO_ZOOKEEPER,
    SUPER_DIGEST,
    Cluster,
    Ensemble,
    Node,
    ZooKeeperEnsemble,
    wait_until,
    zookeeper_classpath,
)
from tests.acceptance.told_client import ToldClient

SOURCE = Path(__file__).with_name("c_client.c")
HEADER = Path("/usr/include/zookeeper/zookeeper.h")
SHELL = Path("/usr/lib/zookeeper/bin/cli_mt")

CONVERSATION = """\
create /c data
create /c data
create /c/e data ephemeral
create /c/e/child data
create /c/s- data sequential
create2 /c/s- data sequential
create2 /c/es- data ephemeral_seq
create2 /box data container
create /box/in data
create2 /ttl data ttl
create /ttl- data ttl_sequential
create /missing/child data
get /c
get /missing
set /c longer_data
set /c longer_data 0
set /c longer_data 1
set /missing data
exists /c
exists /missing
children /c
children /missing
delete /c
delete /c/e 3
delete /c/e 0
delete /missing
multi good /many
children /many
multi bad /few
exists /few
get /c watch
children /c watch
exists /later watch
set /c changed
create /c/new data
create /later data
delete /later
events 3
get /c watch
unwatch /c 2
unwatch /c 2
getacl /c
setacl /c world:anyone 1
setacl /c world:anyone 31
getacl /c
set /c refused
auth digest user:secret
create /mine data
setacl /mine auth: 31
getacl /mine
get /mine
auth digest super:test
setacl /c world:anyone 31
sync /c
pipeline /c 2000
exists /c
reconfig nonsense
auth nonsense nonsense"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler: `make peers` installs one where there is apt")
    if not HEADER.exists():
        pytest.skip(
            "the C library of ZooKeeper is not installed (Debian package libzookeeper-mt-dev; `make peers`)"
        )
    built = tmp_path_factory.mktemp("c") / "c_client"
    command = [
        "cc",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-unused-parameter",
        "-o",
        str(built),
        str(SOURCE),
    ]
    subprocess.run([*command, "-lzookeeper_mt", "-lpthread"], check=True, timeout=120)
    return str(built)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Ensemble]:
    with Cluster(3, options=["--super-digest", SUPER_DIGEST]) as ensemble:
        yield ensemble


@pytest.fixture(scope="module")
def peer() -> Iterator[Ensemble]:
    if zookeeper_classpath() is None:
        pytest.skip(NO_ZOOKEEPER)
    with ZooKeeperEnsemble(3) as ensemble:
        yield ensemble


Connected = Callable[[Node], KazooClient]


def hold(program: str, ensemble: Ensemble, other: Connected) -> list[tuple[str, list[str]]]:
    leader = ensemble.wait_for_leader()
    follower = next(node for node in ensemble.nodes if node is not leader)
    looking = other(leader)
    answers = []
    with ToldClient([program]) as client:
        assert client.ask(f"connect {follower.address} 10000") == ["connected"]
        for command in CONVERSATION.splitlines():
            answers.append((command, client.ask(command)))
            verb, path, *_ = command.split()
            if verb == "setacl":
                until_applied(path, looking, client.ask(f"exists {path}")[1])
    return answers


def until_applied(path: str, at_the_leader: KazooClient, stat: str) -> None:
    """A leader of ZooKeeper lets writes through by the access list before until it has applied the new one
    itself, which may be after a follower has answered."""

    def is_there() -> bool:
        try:
            return f" acl {at_the_leader.exists(path).aversion} " in stat
        except NoAuthError:
            return True

    wait_until(is_there, 60, f"{path} has its access list")


def test_it_has_the_same_conversation_with_us(
    program: str, cluster: Ensemble, peer: Ensemble, other: Connected
) -> None:
    ours, theirs = hold(program, cluster, other), hold(program, peer, other)
    for number, (answer, expected) in enumerate(zip(ours, theirs, strict=True)):
        assert answer == expected, f"command {number}, behind {ours[max(0, number - 6) : number]}"
    # That both say the same is worth something only where they say what was wanted.
    answers = dict(ours)
    assert answers["pipeline /c 2000"] == ["2000 answered, 0 wrong or out of order"]
    assert answers["multi good /many"][0] == "ok:" + " [ok]" * 6
    assert answers["events 3"] == ["changed /c", "children /c", "created /later"]


def order_from(first: Node, ensemble: Ensemble) -> str:
    """The addresses of the ensemble, in the order in which a client is to try them."""
    return ",".join([first.address, *(node.address for node in ensemble.nodes if node is not first)])


def victim(role: str, ensemble: Ensemble) -> Node:
    leader = ensemble.wait_for_leader()
    return leader if role == "leader" else next(node for node in ensemble.nodes if node is not leader)


@pytest.mark.parametrize("role", ["follower", "leader"])
def test_its_session_goes_on_at_another_node(
    role: str, program: str, cluster: Ensemble, other: Callable[[Node], KazooClient]
) -> None:
    """The watches are armed again by `setWatches`, with all that the session has seen."""
    dies = victim(role, cluster)
    top = f"/dies_with_{role}"
    with ToldClient([program]) as client:
        assert client.ask(f"connect {order_from(dies, cluster)} 20000") == ["connected"]
        assert client.ask("server") == [dies.address]
        session = client.ask("session")
        client.ask(f"create {top} data")
        client.ask(f"create {top}/ephemeral data ephemeral")
        client.ask(f"get {top} watch")
        client.ask(f"children {top} watch")
        client.ask(f"exists {top}/later watch")
        client.ask(f"get {top}/ephemeral watch")
        dies.kill()
        assert client.ask("connections 2") == ["connected"]
        assert client.ask("server") != [dies.address]
        assert client.ask("session") == session
        assert client.ask(f"exists {top}/ephemeral")[0] == "ok"
        assert client.ask(f"create {top}/ephemeral data") == ["node exists"]
        assert client.ask(f"set {top} mine 0")[0] == "ok"
        assert client.ask("events 1") == [f"changed {top}"]
        writer = other(next(node for node in cluster.nodes if node is not dies))
        assert writer.exists(f"{top}/ephemeral").ephemeralOwner == int(session[0], 16)
        writer.create(f"{top}/later", b"")
        writer.set(f"{top}/ephemeral", b"touched")
        told = client.ask("events 3")
        assert sorted(told) == [f"changed {top}/ephemeral", f"children {top}", f"created {top}/later"]
        assert client.ask("close") == ["ok"]
        writer.sync(top)
        assert writer.exists(f"{top}/ephemeral") is None
    cluster.restart(dies)


def test_what_it_missed_while_it_was_away_is_told(
    program: str, cluster: Ensemble, other: Callable[[Node], KazooClient]
) -> None:
    """It knows one node only.  While that is down others write; when it is back, each watch whose node has
    changed meanwhile fires at once, and the others are armed again."""
    home = victim("follower", cluster)
    with ToldClient([program]) as client:
        assert client.ask(f"connect {home.address} 40000") == ["connected"]
        for name in ("changed", "deleted", "parent", "untouched", "parent/gone"):
            assert client.ask(f"create /away_{name} data")[0].startswith("ok")
            client.ask(f"get /away_{name} watch")
        client.ask("exists /away_created watch")
        client.ask("children /away_parent watch")
        client.ask("create /away_ephemeral data ephemeral")
        home.kill()
        writer = other(cluster.wait_for_leader())
        writer.set("/away_changed", b"new")
        writer.delete("/away_deleted")
        writer.delete("/away_parent/gone")
        writer.create("/away_created", b"")
        cluster.restart(home)
        assert client.ask("connections 2") == ["connected"]
        assert sorted(client.ask("events 5")) == [
            "changed /away_changed",
            "children /away_parent",
            "created /away_created",
            "deleted /away_deleted",
            "deleted /away_parent/gone",
        ]
        assert client.ask("exists /away_ephemeral")[0] == "ok"
        writer.set("/away_untouched", b"now")
        assert client.ask("events 1") == ["changed /away_untouched"]


# --- the shell that is built on the library --------------------------------------------------------------

ERRANDS = (
    *("create /shell", "create /shell", "create /shell/child", "set /shell some words", "get /shell"),
    *("get /missing", "ls /shell", "ls2 /shell", "sync /", "delete /shell", "delete /shell/child", "od"),
)

VARYING = re.compile(
    r"(?<=[cm]time=)[A-Z].*|(?<=ctime = )(?!Thu Jan  1).*|(?<=zxid=).*|session id: .*|= \d+ msec"
)


def errands(ensemble: Ensemble) -> list[tuple[str, int, list[str]]]:
    done = []
    for errand in ERRANDS:
        run = subprocess.run(
            [str(SHELL), "-h", ensemble.hosts, "-c", errand],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=90,
            check=False,
        )
        lines = [VARYING.sub("...", line) for line in run.stdout.splitlines() if "ZOO_INFO@" not in line]
        done.append((errand, run.returncode, lines))
    return done


def test_its_shell_does_the_same_errands(cluster: Ensemble, peer: Ensemble) -> None:
    if not SHELL.exists():
        pytest.skip(
            "the shell of the C library is not installed (Debian package zookeeper-bin; `make peers`)"
        )
    done = errands(cluster)
    assert any("some words" in line for _, _, lines in done for line in lines)
    for ours, theirs in zip(done, errands(peer), strict=True):
        assert ours == theirs
