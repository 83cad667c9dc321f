"""What people use a coordination service for, each shown once with kazoo's own recipes, unchanged.

Each function returns what was seen, as a sentence and a figure, or raises AssertionError.
"""
from __future__ import annotations

import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError
from writers import connect


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def spread(hosts: str, count: int) -> list[KazooClient]:
    """Clients on all the nodes in turn."""
    listed = hosts.split(",")
    return [connect(listed[number % len(listed)]) for number in range(count)]


def tree(client: KazooClient) -> tuple[str, str]:
    """Nodes with data, children, versions; a write that rests on an old version is refused."""
    client.ensure_path("/shop/config")
    client.create("/shop/config/price", b"10")
    _, stat = client.get("/shop/config/price")
    client.set("/shop/config/price", b"11", version=stat.version)
    try:
        client.set("/shop/config/price", b"12", version=stat.version)
    except BadVersionError:
        pass
    else:
        raise AssertionError("a write on an old version was taken")
    assert client.get("/shop/config/price")[0] == b"11"
    assert client.get_children("/shop/config") == ["price"]
    return "a tree of nodes; a write that rests on an old version is refused", f"version {stat.version + 1}"


def watch(reader: KazooClient, writer: KazooClient) -> tuple[str, str]:
    """A reader on one node is told of a write on another."""
    told = threading.Event()
    reader.get("/shop/config/price", watch=lambda event: told.set())
    asked_at = time.monotonic()
    writer.set("/shop/config/price", b"12")
    assert told.wait(10), "no notification"
    return "a watch: the reader is told of the change", f"after {milliseconds(time.monotonic() - asked_at)}"


def lock(hosts: str) -> tuple[str, str]:
    """Contenders add to a number by reading and writing it back, which only a lock makes safe."""
    contenders, turns = 4, 8
    with_client = spread(hosts, contenders)
    with_client[0].create("/shop/stock", b"0")

    def add(client: KazooClient) -> None:
        mutex = client.Lock("/shop/lock")
        for _ in range(turns):
            with mutex:
                number = int(client.get("/shop/stock")[0])
                client.set("/shop/stock", str(number + 1).encode())

    started = time.monotonic()
    _all_at_once(add, with_client)
    took = time.monotonic() - started
    with_client[0].sync("/shop/stock")  # the last to add may have been on another node
    assert int(with_client[0].get("/shop/stock")[0]) == contenders * turns, "two held the lock at once"
    _close(with_client)
    what = f"a lock: {contenders} contenders take {contenders * turns} turns, one at a time"
    return what, f"in {milliseconds(took)}"


def counter(hosts: str) -> tuple[str, str]:
    """Everybody adds at once, without a lock, by compare and set."""
    contenders, turns = 4, 10
    with_client = spread(hosts, contenders)

    def add(client: KazooClient) -> None:
        number = client.Counter("/shop/visits")
        for _ in range(turns):
            number += 1

    _all_at_once(add, with_client)
    with_client[0].sync("/shop/visits")  # its node may be behind the others: a plain read would be local
    found = with_client[0].Counter("/shop/visits").value
    _close(with_client)
    assert found == contenders * turns, f"{found} of {contenders * turns}"
    return f"a counter: {contenders} clients add 1 {turns} times each, at once", f"it stands at {found}"


def election(hosts: str) -> tuple[str, str]:
    """The leader's session ends; the next in line leads."""
    candidates = dict(zip(("anna", "bert", "carl"), spread(hosts, 3), strict=True))
    elected: list[str] = []
    led, leave = threading.Condition(), threading.Event()

    def lead(name: str) -> None:
        with led:
            elected.append(name)
            led.notify_all()
        leave.wait(20)

    for name, client in candidates.items():
        run = client.Election("/shop/leader", name).run
        threading.Thread(target=_quietly, args=(run, lead, name), daemon=True).start()
    with led:
        assert led.wait_for(lambda: len(elected) == 1, 10), "nobody was elected"
    left_at = time.monotonic()
    candidates[elected[0]].stop()
    with led:
        assert led.wait_for(lambda: len(elected) == 2, 10), "nobody followed"
    took = time.monotonic() - left_at
    assert elected[0] != elected[1]
    leave.set()
    _close(list(candidates.values()))
    return f"an election: {elected[0]} led and left, {elected[1]} leads", f"after {milliseconds(took)}"


def _quietly(run: object, *arguments: object) -> None:
    try:
        run(*arguments)  # type: ignore[operator]
    except Exception:
        pass  # the client of an elected leader was closed under its feet; that is what is shown


def _all_at_once(action: object, clients: list[KazooClient]) -> None:
    threads = [threading.Thread(target=action, args=(client,)) for client in clients]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def _close(clients: list[KazooClient]) -> None:
    for client in clients:
        client.stop()
        client.close()
