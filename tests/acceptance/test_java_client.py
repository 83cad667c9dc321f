"""ZooKeeper's own client library works with us as with ZooKeeper, and loses nothing when its node is killed.

`JavaClient.java` is compiled against it and told what to do.  It shows what kazoo and the C library do not
have: persistent and recursive watches (and that they outlive a node: `setWatches2`), several reads in one
request, and requests by the thousand without waiting for a reply.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient

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
from tests.acceptance.zkcli import java_options

SOURCE = Path(__file__).with_name("JavaClient.java")

CONVERSATION = """\
create /j data
create /j data
create /j/s- data PERSISTENT_SEQUENTIAL
create /j/e data EPHEMERAL
create /j/e- data EPHEMERAL_SEQUENTIAL
create /j/e/child data
create /missing/child data
create /box data CONTAINER
create /box/in data
create /ttl data PERSISTENT_WITH_TTL 600000
create /ttl- data PERSISTENT_SEQUENTIAL_WITH_TTL 600000
get /j
get /missing
set /j more 0
set /j more 0
exists /j
exists /missing
children /j
delete /j
getEphemerals
getEphemerals /j/e-
getEphemerals /nobody
getAllChildrenNumber /j
getAllChildrenNumber /missing
multi /good 1
children /good
multi /bad 7
exists /bad
multiRead /j /good /missing /box
multiRead
whoAmI
auth digest user:secret
whoAmI
addWatch /persistent PERSISTENT
create /persistent data
create /persistent/child data
set /persistent 1
set /persistent/child 1
delete /persistent/child
delete /persistent
create /persistent data
events 6
removeWatches /persistent Any
set /persistent 2
events 1
addWatch /recursive PERSISTENT_RECURSIVE
create /recursive data
create /recursive/child data
create /recursive/child/deep data
set /recursive/child/deep 1
create /recursive/child/e data EPHEMERAL
delete /recursive/child/deep
delete /recursive/child/e
delete /recursive/child
set /recursive 1
events 9
create /recursive/spot data
get /recursive/spot watch
exists /recursive/later watch
children /recursive/spot watch
create /recursive/spot/child data
create /recursive/later data
set /recursive/spot 2
events 5
removeWatches /recursive Children
removeWatches /recursive Any
removeWatches /recursive Any
create /pipelined data
pipeline /pipelined 10000
compare /pipelined
getAllChildrenNumber /pipelined
exists /pipelined"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that starts the client."""
    classpath = zookeeper_classpath()
    if classpath is None:
        pytest.skip(NO_ZOOKEEPER)
    if shutil.which("javac") is None:
        pytest.skip("there is no Java compiler (Debian package default-jdk-headless)")
    directory = tmp_path_factory.mktemp("java")
    subprocess.run(["javac", "-cp", classpath, "-d", str(directory), str(SOURCE)], check=True, timeout=120)
    return ["java", *java_options(directory), "-cp", f"{directory}:{classpath}", "JavaClient"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Ensemble]:
    with Cluster(3, options=["--super-digest", SUPER_DIGEST, "--sweep-every-ms", "500"]) as ensemble:
        yield ensemble


@pytest.fixture(scope="module")
def peer() -> Iterator[Ensemble]:
    with ZooKeeperEnsemble(3) as ensemble:
        yield ensemble


def hold(program: list[str], ensemble: Ensemble) -> list[tuple[str, list[str]]]:
    with ToldClient(program) as client:
        assert client.ask(f"connect {ensemble.hosts} 10000") == ["connected"]
        return [(command, client.ask(command)) for command in CONVERSATION.splitlines()]


def test_it_has_the_same_conversation_with_us(program: list[str], cluster: Ensemble, peer: Ensemble) -> None:
    ours, theirs = hold(program, cluster), hold(program, peer)
    for number, (answer, expected) in enumerate(zip(ours, theirs, strict=True)):
        assert answer == expected, f"command {number}, behind {ours[max(0, number - 6) : number]}"
    # That both say the same is worth something only where they say what was wanted.
    answers = dict(ours)
    assert answers["pipeline /pipelined 10000"] == ["10000 in order, 0 lost, 0 wrong"]
    assert answers["compare /pipelined"] == ["10000 acknowledged, 0 of them missing"]
    assert answers["multiRead /j /good /missing /box"].count("error NONODE") == 2


def home_of(client: ToldClient, ensemble: Ensemble) -> Node:
    (address,) = client.ask("server")
    return next(node for node in ensemble.nodes if node.address == address)


def test_its_watches_outlive_the_node(
    program: list[str], cluster: Ensemble, other: Callable[[Node], KazooClient]
) -> None:
    with ToldClient(program) as client:
        assert client.ask(f"connect {cluster.hosts} 20000") == ["connected"]
        session = client.ask("session")
        for name in ("persistent", "recursive", "once"):
            client.ask(f"create /outlive_{name} data")
        client.ask("addWatch /outlive_persistent PERSISTENT")
        client.ask("addWatch /outlive_recursive PERSISTENT_RECURSIVE")
        client.ask("get /outlive_once watch")
        client.ask("create /outlive_ephemeral data EPHEMERAL")
        home = home_of(client, cluster)
        home.kill()
        assert client.ask("connections 2") == ["connected"]
        assert home_of(client, cluster) is not home
        assert client.ask("session") == session
        writer = other(next(node for node in cluster.nodes if node is not home))
        assert writer.exists("/outlive_ephemeral").ephemeralOwner == int(session[0], 16)
        writer.set("/outlive_once", b"1")
        assert client.ask("events 1") == ["NodeDataChanged /outlive_once"]
        for turn in ("1", "2"):
            writer.set("/outlive_persistent", turn.encode())
            writer.create(f"/outlive_persistent/child{turn}")
            assert client.ask("events 2") == [
                "NodeDataChanged /outlive_persistent",
                "NodeChildrenChanged /outlive_persistent",
            ]
            writer.create(f"/outlive_recursive/child{turn}/deep", makepath=True)
            writer.set(f"/outlive_recursive/child{turn}/deep", b"1")
            assert client.ask("events 3") == [
                f"NodeCreated /outlive_recursive/child{turn}",
                f"NodeCreated /outlive_recursive/child{turn}/deep",
                f"NodeDataChanged /outlive_recursive/child{turn}/deep",
            ]
        client.ask("close")
        writer.sync("/outlive_ephemeral")
        assert writer.exists("/outlive_ephemeral") is None
    cluster.restart(home)


def test_no_acknowledged_write_is_lost_with_the_node(
    program: list[str], cluster: Ensemble, other: Callable[[Node], KazooClient]
) -> None:
    """10,000 creates are under way, without waiting for any, when the node of the client is killed."""
    with ToldClient(program) as client:
        assert client.ask(f"connect {cluster.hosts} 20000") == ["connected"]
        session = client.ask("session")
        client.ask("create /flood data")
        home = home_of(client, cluster)
        watcher = other(next(node for node in cluster.nodes if node is not home))
        outcome: list[str] = []
        flood = threading.Thread(target=lambda: outcome.extend(client.ask("pipeline /flood 10000")))
        flood.start()
        wait_until(lambda: watcher.exists("/flood").children_count > 500, 60, "some creates are done")
        home.kill()
        flood.join(60)
        assert client.ask("connections 2") == ["connected"]
        assert client.ask("session") == session
        assert outcome
        assert outcome[0].endswith(" 0 wrong"), outcome
        # What is in the log when the node dies may still be on its way to the node that answers now.
        client.ask("create /flood_is_over data")
        (compared,) = client.ask("compare /flood")
        assert compared.endswith(" 0 of them missing"), compared
        assert int(compared.split()[0]) > 0
    cluster.restart(home)


def test_nodes_with_an_end_come_to_it(program: list[str], cluster: Ensemble) -> None:
    """A container goes after its last child, a node with a time to live after that time; watchers hear it."""
    with ToldClient(program) as client:
        assert client.ask(f"connect {cluster.hosts} 10000") == ["connected"]
        client.ask("create /end_container data CONTAINER")
        client.ask("create /end_container/child data")
        client.ask("create /end_never_used data CONTAINER")
        # Watched from before it is there: on a machine that stands still it is gone as soon as it was made.
        client.ask("addWatch /end_ttl PERSISTENT")
        client.ask("create /end_ttl data PERSISTENT_WITH_TTL 200")
        assert client.ask("events 2") == ["NodeCreated /end_ttl", "NodeDeleted /end_ttl"]
        client.ask("exists /end_container watch")
        client.ask("delete /end_container/child")
        assert client.ask("events 1") == ["NodeDeleted /end_container"]
        assert client.ask("exists /end_ttl") == client.ask("exists /end_container") == ["absent"]
        assert client.ask("exists /end_never_used") != ["absent"]
