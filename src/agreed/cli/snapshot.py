"""`agreed snapshot`: save what a cluster holds to a file, look at such a file, begin a new cluster from one.

The file is what `etcdctl snapshot save` would have written, of our nodes as of a real etcd's; etcd's tools
open it, and `restore` takes theirs (`docs/decisions/snapshot.md`).
"""
from __future__ import annotations

import asyncio
import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

import click

from agreed.cli.as_json import as_json
from agreed.cli.copy_place import Place, place_of
from agreed.client.etcd_channel import EtcdChannel
from agreed.errors import ConfigurationError, CorruptData, DiskFailed
from agreed.node.backups import Backup, Summary, found, new_members
from agreed.node.values import a_name, an_address
from agreed.wire.etcd.messages import SnapshotRequest

SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot"

DIGITS_OF_A_DIGEST = 16


@click.group("snapshot")
def command() -> None:
    """Save, verify and restore what a cluster holds."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--from",
    "source",
    default="etcd://127.0.0.1:2379",
    show_default=True,
    metavar="URL",
    help="A node's port for etcd clients, or a real etcd; as in `agreed copy`, also with a user or TLS.",
)
def save(file: Path, source: str) -> None:
    """Save what one node holds now to FILE.

    It is written aside, verified, synced, and only then gets its name.
    """
    place = place_of(source)
    if place.kind != "etcd" or place.root:
        raise ConfigurationError(f"{source!r}: a snapshot is saved from etcd://HOST:PORT, as a whole")
    aside = file.with_name(file.name + ".part")
    try:
        with EtcdFile(aside) as out:
            asyncio.run(_fetch(place, out))
        with Backup(aside) as backup:
            if not backup.has_digest:
                raise CorruptData(f"{source} ended before all of the snapshot had come")
            summary = backup.summary(backup.store())
        try:
            os.replace(aside, file)
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    click.echo(f"{file}: {_sentence(summary)}")


class EtcdFile:
    """A new file that nobody but its owner may read: it holds all keys, and the hashes of passwords."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> EtcdFile:
        """Raises `ConfigurationError`."""
        try:
            # Each write goes to the kernel: nothing is left that would fail once more when it is closed.
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"{self._path}: {error.strerror}") from error
        return self

    def write(self, data: bytes) -> None:
        """Raises `DiskFailed`."""
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            raise DiskFailed(f"{self._path}: writing failed: {error.strerror}") from error

    def __exit__(self, *error: object) -> None:
        """Raises `DiskFailed`."""
        try:
            os.fsync(self._file)
        except OSError as problem:
            if problem.errno != errno.EINVAL:  # no file at all: a device, which has nothing to sync
                raise DiskFailed(f"{self._path}: syncing failed: {problem.strerror}") from problem
        finally:
            os.close(self._file)


async def _fetch(place: Place, out: EtcdFile) -> None:
    async with EtcdChannel(
        place.servers, ssl=place.tls, user=place.user, password=place.password
    ) as channel:
        stream = await channel.stream(SNAPSHOT)
        stream.send(SnapshotRequest())
        while (response := await stream.receive()) is not None:
            out.write(response.blob)


def _sentence(summary: Summary) -> str:
    tree = f", {summary.znodes} znodes" if summary.znodes else ""
    return (
        f"revision {summary.revision}, {summary.keys} keys in {summary.versions} versions{tree}, "
        f"{summary.size_bytes} bytes, SHA-256 {summary.sha256[:DIGITS_OF_A_DIGEST]}..."
    )


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "in_json", is_flag=True, help="For programs: all that is known of it as JSON.")
def verify(file: Path, in_json: bool) -> None:
    """Read all of FILE: is it whole, and what does it hold?

    Also tells of a file that `etcdctl snapshot save` has written.
    """
    with Backup(file) as backup:
        summary = backup.summary(backup.store())
    if in_json:
        click.echo(as_json(summary))
        return
    click.echo(f"{file}: {_sentence(summary)}")
    click.echo(
        f"compacted to {summary.compacted}, {summary.leases} leases, {summary.users} users, "
        f"{summary.roles} roles, authentication {'on' if summary.authentication else 'off'}"
    )
    _tell_of_no_digest(summary)


def _tell_of_no_digest(summary: Summary) -> None:
    if not summary.has_digest:
        click.echo("it has no SHA-256 of itself: a database that was copied, not saved")


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.argument("members", nargs=-1, required=True, metavar="NAME=HOST:PORT...")
def restore(file: Path, directory: Path, members: tuple[str, ...]) -> None:
    """Begin a new cluster that holds what FILE holds.

    Makes DIRECTORY/NAME for each member, whose peers reach it at HOST:PORT. Take each to its machine and
    start the node on it under the same name. The new cluster has an identity of its own; nodes of the old one
    are no part of it.
    """
    addresses = dict(_member(text) for text in members)
    if len(addresses) < len(members):
        raise ConfigurationError("a name of a member stands twice")
    with Backup(file) as backup:
        store = backup.store()
        summary = backup.summary(store)
    places = found(store, new_members(addresses, lambda: secrets.randbits(63) or 1), directory)
    click.echo(_sentence(summary))
    _tell_of_no_digest(summary)
    for place in places:
        click.echo(f"start {place.name} with --data {place}")


def _member(text: str) -> tuple[str, str]:
    name, separator, address = text.partition("=")
    try:
        if not separator:
            raise ValueError("not of the form NAME=HOST:PORT")
        return a_name(name), an_address(address)
    except ValueError as error:
        raise ConfigurationError(f"{text!r}: {error}") from error
