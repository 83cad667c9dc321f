"""`agreed dev`: a cluster of three in one terminal, to play with.

Three processes on loopback, their logs side by side, and what to type to connect.  The data lies in a
temporary directory and goes with Ctrl-C, unless a directory is named.
"""
from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO

import click

from agreed.cli.exits import REFUSED
from agreed.cli.playground import NotServing, Playground, free_ports, is_free

COLOURS = ("cyan", "magenta", "yellow")


def pick_ports(wanted: Sequence[int]) -> list[int]:
    """The usual ports where they are all free, else any free ones: a playground has to start."""
    return list(wanted) if all(is_free(port) for port in wanted) else free_ports(len(wanted))


def _stream(name: str, colour: str, lines: IO[str]) -> None:
    for line in lines:
        click.echo(click.style(f"{name} │ ", fg=colour) + line.rstrip("\n"))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def ourselves() -> str:
    """How to call this command from another terminal."""
    return "agreed" if shutil.which("agreed") else f"{sys.executable} -m agreed"


def welcome(cluster: Playground, directory: Path) -> str:
    """What somebody needs to know who has never seen it."""
    first = next(iter(cluster.places.values()))
    places = "\n".join(
        f"    {it.name}   ZooKeeper {it.client_address}   etcd {it.etcd_address}   peers {it.peer_address}"
        for it in cluster.places.values()
    )
    return f"""
A cluster of {len(cluster.places)} is running; its data lies in {directory}

{places}

In Python (pip install kazoo):

    from kazoo.client import KazooClient
    client = KazooClient("{cluster.hosts}")
    client.start()
    client.create("/greeting", b"hello")

In another terminal:

    etcdctl --endpoints {cluster.etcd_endpoints} put /greeting hello
    {ourselves()} status --node {first.peer_address}
    echo srvr | nc {first.client_address.replace(":", " ")}

Ctrl-C ends all of them.
"""


def play(directory: Path, flags: Sequence[str]) -> int:
    """Run the cluster until Ctrl-C, or until a node ends by itself; the code to leave with."""
    clients, peers, etcd = (pick_ports(range(first, first + 3)) for first in (2181, 7421, 2379))
    with Playground(
        directory, client_ports=clients, peer_ports=peers, etcd=etcd, flags=flags, output="pipe"
    ) as cluster:
        try:
            cluster.start_all()
            for colour, (name, process) in zip(COLOURS, cluster.processes.items(), strict=False):
                assert process.stdout is not None
                threading.Thread(target=_stream, args=(name, colour, process.stdout), daemon=True).start()
            cluster.wait_until_serving()
            click.echo(click.style(welcome(cluster, directory), bold=True))
            while True:
                for name, process in cluster.processes.items():
                    if process.poll() is not None:
                        click.echo(f"agreed: {name} ended with code {process.returncode}", err=True)
                        return REFUSED
                threading.Event().wait(0.2)
        except NotServing as error:
            click.echo(f"agreed: {error}", err=True)
            return REFUSED
        except KeyboardInterrupt:
            click.echo("\nending the nodes ...", err=True)
            return 0


@click.command("dev", context_settings={"ignore_unknown_options": True})
@click.option("--data", metavar="DIRECTORY", help="Keep the data here (default: a temporary directory).")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def command(data: str | None, flags: tuple[str, ...]) -> None:
    """A cluster of three in this terminal, to play with.

    Further FLAGS go to every node: agreed dev --linearizable-reads.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if data is not None:
        code = play(Path(data), flags)
    else:
        with tempfile.TemporaryDirectory(prefix="agreed-dev-") as directory:
            code = play(Path(directory), flags)
    sys.exit(code)
