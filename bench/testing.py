"""How long a test waits for its server: start and reset of `agreed.testing`, beside a start of a client.

    python -m bench.testing [--rounds 50] [--nodes]

The first server of a process also loads its modules; both are shown by themselves, the modules in time of the
processor, too, since they are loaded once and on a busy machine wait for it.  Beside them stands what a test
pays in any case: a kazoo client that begins a session and ends it, on such a server, and a Python program
that begins and ends.  `--nodes`: three nodes as processes as well.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import click
from kazoo.client import KazooClient


def took_ms(work: Callable[[], object], rounds: int) -> float:
    """The median."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


@click.command()
@click.option("--rounds", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--nodes", is_flag=True, help="Three nodes as processes as well.")
def main(rounds: int, nodes: bool) -> None:
    """Start and reset of the servers for tests."""
    from agreed import testing

    began, processor_began = time.perf_counter(), time.process_time()
    testing.ZooKeeperServer  # noqa: B018 (it is imported when it is asked for)
    loaded, processor_s = time.perf_counter(), time.process_time() - processor_began
    with testing.zookeeper() as server:
        first_ms = (time.perf_counter() - loaded) * 1000

        def kazoo() -> None:
            client = KazooClient(server.hosts)
            client.start()
            client.stop()
            client.close()

        def start(kind: type[testing.Server]) -> Callable[[], None]:
            return lambda: kind().close()

        measured = {
            "a Python program": took_ms(lambda: subprocess.run([sys.executable, "-c", ""], check=True), 5),
            "a session of kazoo": took_ms(kazoo, 5),
            "loading the modules": (loaded - began) * 1000,
            "... of the processor": processor_s * 1000,
            "the first server": first_ms,
            "one more for ZooKeeper": took_ms(start(testing.ZooKeeperServer), rounds),
            "one more for etcd": took_ms(start(testing.EtcdServer), rounds),
            "a reset": took_ms(server.reset, rounds),
            "an hour passes": took_ms(lambda: server.clock.advance(3600), 5),
        }
    if nodes:
        began = time.perf_counter()
        with testing.cluster() as cluster:
            measured["three nodes"] = (time.perf_counter() - began) * 1000
            measured["their reset"] = took_ms(cluster.reset, 5)
    unit = measured["a session of kazoo"]
    for what, ms in measured.items():
        print(f"{what:<24}{ms:>10.2f} ms{ms / unit:>10.3f} times a session of kazoo")


if __name__ == "__main__":
    main()
