"""A cluster of three durable nodes is used, loses its leader in the middle of writes, and loses nothing.

    make demo

Three processes with real files and sockets are driven by kazoo, which knows nothing of this package.  Every
figure is measured in this run.  Ends with 0 only if every acknowledged write was found on every node: after
the leader was killed, after the dead node came back, and after all three were killed at once.
"""
from __future__ import annotations

import logging
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from screen import Screen
from writers import Acknowledged, Writers, connect

import recipes
from agreed.cli.playground import Playground
from agreed.errors import AgreedError
from agreed.node.values import split_address
from recipes import milliseconds

PARENT = "/shop/orders"
WRITERS = 8
BEFORE_THE_KILL_S = 2.0
AFTER_THE_KILL_S = 3.0
SLOT_MS = 100
CATCH_UP_WITHIN_S = 15.0


def zxid_of(cluster: Playground, name: str) -> int | None:
    """The newest change this node has applied, from its answer to the plain-text question `srvr`."""
    try:
        with socket.create_connection(split_address(cluster.places[name].client_address), 2) as asked:
            asked.sendall(b"srvr")
            answer = b"".join(iter(lambda: asked.recv(4096), b"")).decode()
    except OSError:
        return None
    for line in answer.splitlines():
        if line.startswith("Zxid: "):
            return int(line.removeprefix("Zxid: "), 16)
    return None


def missing_on(cluster: Playground, name: str, writes: Iterable[Acknowledged]) -> list[str]:
    """Which acknowledged writes are not there, or hold something else, when asking this node alone."""
    client = connect(cluster.places[name].client_address)
    try:
        client.sync(PARENT)
        there = set(client.get_children(PARENT))
        names = [write.name for write in writes]
        asked = [(name, client.get_async(f"{PARENT}/{name}")) for name in names if name in there]
        wrong = [name for name, reply in asked if reply.get(timeout=30)[0] != name.encode()]
        return wrong + [name for name in names if name not in there]
    finally:
        client.stop()
        client.close()


def check_all_there(
    screen: Screen, cluster: Playground, names: Iterable[str], writes: list[Acknowledged]
) -> int:
    """Ask each of these nodes alone; how many acknowledged writes are missing somewhere."""
    lost: set[str] = set()
    for name in names:
        with screen.waiting(f"reading {len(writes):,} writes from {name}"):
            missing = missing_on(cluster, name, writes)
        screen.check(
            not missing,
            f"{name} has every acknowledged write",
            f"{len(writes) - len(missing):,} of {len(writes):,}",
        )
        lost.update(missing)
    return len(lost)


def found(screen: Screen, cluster: Playground) -> None:
    screen.act("1  Three nodes found a cluster")
    started = time.monotonic()
    with screen.waiting("starting three processes"):
        cluster.start_all()
        cluster.wait_until_serving()
    took = time.monotonic() - started
    screen.shown(f"{cluster.leader()} leads; clients connect to {cluster.hosts}", milliseconds(took))


def use(screen: Screen, cluster: Playground) -> None:
    screen.act("2  kazoo, a ZooKeeper client, uses it unchanged")
    one, other = connect(cluster.places["n1"].client_address), connect(cluster.places["n2"].client_address)
    with screen.waiting("a tree, a watch, a lock, an election, a counter"):
        screen.shown(*recipes.tree(one))
        screen.shown(*recipes.watch(one, other))
        screen.shown(*recipes.lock(cluster.hosts))
        screen.shown(*recipes.election(cluster.hosts))
        screen.shown(*recipes.counter(cluster.hosts))
    for client in (one, other):
        client.stop()
        client.close()


def lose_the_leader(screen: Screen, cluster: Playground) -> tuple[str, Writers, float | None]:
    """Kill it in the middle of writes; its name, what was written, and the pause in seconds."""
    screen.act(f"3  The leader is killed while {WRITERS} clients write")
    client = connect(cluster.hosts)
    client.ensure_path(PARENT)
    client.stop()
    client.close()
    writers = Writers([place.client_address for place in cluster.places.values()], PARENT, WRITERS)
    with screen.waiting("writing") as say:
        writers.start()
        begin = time.monotonic()
        _watch_writers(writers, begin + BEFORE_THE_KILL_S, say)
        leader = cluster.leader()
        assert leader is not None, "nobody leads"
        killed_at = time.monotonic()
        cluster.kill(leader)
        _watch_writers(writers, killed_at + AFTER_THE_KILL_S, say)
        end = time.monotonic()
        writers.stop()
    screen.timeline(
        writers.per_slot(begin, end, SLOT_MS / 1000), round((killed_at - begin) * 1000 / SLOT_MS), SLOT_MS
    )
    first = writers.first_after(killed_at)
    screen.check(
        first is not None,
        f"{leader} is dead (SIGKILL), {cluster.leader()} leads; the next write was acknowledged",
        "" if first is None else f"{milliseconds(first.told_at - killed_at)} after the kill",
    )
    if unknown := len(writers.unknown):
        screen.note(f"{unknown} writes were under way on broken connections: their clients were told so")
    return leader, writers, None if first is None else first.told_at - killed_at


def _watch_writers(writers: Writers, until: float, say: Callable[[str], None]) -> None:
    while time.monotonic() < until:
        say(f"{len(writers.acknowledged):,} writes acknowledged")
        time.sleep(0.05)


def come_back(screen: Screen, cluster: Playground, dead: str) -> float:
    """Restart it; how long until it had applied everything."""
    screen.act(f"4  {dead} comes back with what is on its disk")
    goal = max(zxid_of(cluster, name) or 0 for name in cluster.places if name != dead)
    started = time.monotonic()
    with screen.waiting(f"{dead} starts and catches up"):
        cluster.start(dead)
        while (zxid_of(cluster, dead) or 0) < goal and time.monotonic() - started < CATCH_UP_WITHIN_S:
            time.sleep(0.02)
    took = time.monotonic() - started
    reached = zxid_of(cluster, dead) or 0
    what = f"{dead} has caught up to zxid {goal:#x}"
    screen.check(reached >= goal > 0, what, f"{milliseconds(took)} after its start")
    return took


def lose_everything(screen: Screen, cluster: Playground) -> float:
    """Kill all three at once and start them again; how long until they served."""
    screen.act("5  All three are killed at once, and started again")
    for name in cluster.places:
        cluster.kill(name)
    started = time.monotonic()
    with screen.waiting("starting from the disks"):
        cluster.start_all()
        cluster.wait_until_serving()
    took = time.monotonic() - started
    screen.shown(f"{cluster.leader()} leads", milliseconds(took))
    return took


def tell(screen: Screen, cluster: Playground) -> None:
    """The whole story, and its summary."""
    begin = time.monotonic()
    found(screen, cluster)
    use(screen, cluster)
    dead, writers, pause = lose_the_leader(screen, cluster)
    writes = writers.acknowledged
    lost = check_all_there(screen, cluster, [name for name in cluster.places if name != dead], writes)
    caught_up = come_back(screen, cluster, dead)
    lost += check_all_there(screen, cluster, [dead], writes)
    again = lose_everything(screen, cluster)
    lost += check_all_there(screen, cluster, cluster.places, writes)
    if not writes:
        screen.check(False, "nothing was written, so there was nothing to lose")
    screen.summary(
        [
            ("acknowledged writes", f"{len(writes):,}"),
            ("lost", f"{lost:,}"),
            ("from the kill to the next write", "never" if pause is None else milliseconds(pause)),
            ("the dead node started and caught up in", milliseconds(caught_up)),
            ("three dead nodes served again after", milliseconds(again)),
            ("the whole demonstration", f"{time.monotonic() - begin:.0f} s"),
        ],
        "something was lost" if lost else "did not hold" if screen.failures else "nothing was lost",
    )


def main() -> int:
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    screen = Screen()
    with (
        tempfile.TemporaryDirectory(prefix="agreed-demo-") as directory,
        Playground(Path(directory)) as cluster,
    ):
        try:
            tell(screen, cluster)
        except (AgreedError, AssertionError) as error:
            screen.check(False, str(error))
        except KeyboardInterrupt:
            return 130
    return 1 if screen.failures else 0


if __name__ == "__main__":
    sys.exit(main())
