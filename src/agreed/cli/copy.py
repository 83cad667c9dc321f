"""`agreed copy`: everything that one store holds into another, and then, if told to, every change.

The stores are named by URLs (`copy_place.py`).  What is read, and how, stands in `copy_etcd.py` and
`copy_zookeeper.py`; what becomes of each entry in `copy_merge.py`.

It is run again after it was broken off: what is there already is seen to be there, and not written.  With
`--state` a copy of an etcd that followed goes on behind the revision up to which it came, so that it also
hears of what was deleted meanwhile.
"""
from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from agreed.cli.copy_etcd import EtcdSource, EtcdTarget
from agreed.cli.copy_merge import OPERATIONS_MOST, Batch, Change, CopyFailed, Counts, Merge
from agreed.cli.copy_place import Place, place_of
from agreed.cli.copy_zookeeper import ZookeeperSource, ZookeeperTarget
from agreed.cli.exits import REFUSED
from agreed.errors import ConfigurationError

PROGRESS_EVERY_S = 0.2

TOLD_MOST = 20
"""Of conflicts and refusals; the rest is only counted."""


class State(msgspec.Struct):
    """What `--state` keeps: all changes of the source up to `revision` are at the target."""

    source: str
    target: str
    prefix: str
    cluster: int
    revision: int


class Wishes(msgspec.Struct, frozen=True):
    source: Place
    target: Place
    prefix: str
    follow: bool
    overwrite: bool
    delete: bool
    state: Path | None


class Told:
    """What is said while it goes on, on standard error: a line that changes, and what was not copied."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._live = sys.stderr.isatty()
        self._next_s = 0.0
        self._said = 0

    def sentence(self, text: str) -> None:
        self._said += 1
        if self._said <= TOLD_MOST:
            self._line(text)
        elif self._said == TOLD_MOST + 1:
            self._line("and so on: the rest is counted")

    def note(self, text: str) -> None:
        self._line(text)

    def progress(self, of: int, revision: int) -> None:
        now = time.monotonic()
        if self._live and now >= self._next_s:
            self._next_s = now + PROGRESS_EVERY_S
            whole = f" of {of}" if of else ""
            at = f", revision {revision}" if revision else ""
            counts = self._counts
            seen = counts.copied + counts.unchanged + counts.conflicts + counts.refused
            click.echo(f"\r\x1b[K{seen}{whole}: {counts.told()}{at}", nl=False, err=True)

    def _line(self, text: str) -> None:
        click.echo(f"\r\x1b[K{text}" if self._live else text, err=True)


class Copy:
    """One run."""

    def __init__(self, wishes: Wishes, counts: Counts, told: Told) -> None:
        self._wishes = wishes
        self._counts = counts
        self._told = told
        prefix = wishes.prefix.encode()
        self._source: EtcdSource | ZookeeperSource
        self._target: EtcdTarget | ZookeeperTarget
        if wishes.source.kind == "etcd":
            self._source = EtcdSource(wishes.source, prefix)
        else:
            self._source = ZookeeperSource(wishes.source, prefix, counts)
        if wishes.target.kind == "etcd":
            leases_of = self._source.channel if isinstance(self._source, EtcdSource) else None
            self._target = EtcdTarget(wishes.target, leases_of, renewed=wishes.follow)
        else:
            self._target = ZookeeperTarget(wishes.target)
        self._merge = Merge(self._target, counts, told.sentence, overwrite=wishes.overwrite)

    async def run(self) -> None:
        """Returns when everything is copied; following, never."""
        staying = None
        try:
            if isinstance(self._target, ZookeeperTarget):
                await self._target.open()
            staying = asyncio.ensure_future(self._target.stay())
            await self._copy()
        finally:
            if staying is not None:
                staying.cancel()
                with suppress(asyncio.CancelledError):
                    await staying
            self._source.close()
            self._target.close()

    async def _copy(self) -> None:
        known = self._known()
        if known is not None and isinstance(self._source, EtcdSource):
            self._told.note(f"goes on behind revision {known.revision}")
            leased = await self._source.go_on(known.cluster, known.revision)
            if isinstance(self._target, EtcdTarget):
                await self._merge.apply(leased.changes)
        else:
            await self._everything()
        if self._wishes.follow:
            self._told.note(f"everything is copied ({self._counts.told()}); changes follow until Ctrl-C")
            async for batch in self._source.follow():
                await self._merge.apply(batch.changes)
                self._keep(batch.revision)
                self._told.progress(0, batch.revision)

    async def _everything(self) -> None:
        names: set[bytes] = set()
        revision = 0
        async for batch in self._all():
            await self._merge.apply(batch.changes)
            if self._wishes.delete:
                names.update(change.name for change in batch.changes)
            revision = batch.revision
            of = self._source.count if isinstance(self._source, EtcdSource) else 0
            self._told.progress(of, revision)
        if self._wishes.delete:
            await self._delete_all_but(names)
        self._keep(self._source.revision if isinstance(self._source, EtcdSource) else 0)

    def _all(self) -> AsyncIterator[Batch]:
        if isinstance(self._source, EtcdSource):
            return self._source.scan()
        return self._source.scan(watched=self._wishes.follow)

    async def _delete_all_but(self, names: set[bytes]) -> None:
        async for page in self._target.names(self._wishes.prefix.encode()):
            gone = [Change(name, None, forced=True) for name in page if name not in names]
            for at in range(0, len(gone), OPERATIONS_MOST):
                await self._merge.apply(gone[at : at + OPERATIONS_MOST])

    # --- how far we are ---------------------------------------------------------------------------------

    def _known(self) -> State | None:
        file, wishes = self._wishes.state, self._wishes
        if file is None or not file.exists():
            return None
        try:
            state = msgspec.json.decode(file.read_bytes(), type=State)
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigurationError(f"{file}: cannot be read ({error})") from error
        present = wishes.source.told, wishes.target.told, wishes.prefix
        if (state.source, state.target, state.prefix) != present:
            raise ConfigurationError(f"{file}: belongs to the copy of {state.source} to {state.target}")
        return state

    def _keep(self, revision: int) -> None:
        if self._wishes.state is None or not isinstance(self._source, EtcdSource):
            return
        wishes, file = self._wishes, self._wishes.state
        # Its whole name: `app.1` and `app.2` may be of two copies that run at the same time.
        beside = file.with_name(file.name + ".new")
        state = State(wishes.source.told, wishes.target.told, wishes.prefix, self._source.cluster, revision)
        try:
            beside.write_bytes(msgspec.json.encode(state))
            beside.replace(file)
        except OSError as error:
            raise CopyFailed(f"{file}: cannot be written ({error}); what was copied stays") from error


def checked(wishes: Wishes) -> Wishes:
    """Raises `ConfigurationError` for what contradicts itself."""
    of_paths = wishes.source.kind == "zookeeper" or wishes.source.root
    if of_paths and wishes.prefix and not wishes.prefix.startswith("/"):
        raise ConfigurationError(f"--prefix: {wishes.prefix!r} has to begin with a slash here")
    if wishes.state is not None and (wishes.source.kind != "etcd" or not wishes.follow):
        raise ConfigurationError("--state: only with --follow, from an etcd://, which has revisions")
    if wishes.source.told == wishes.target.told:
        raise ConfigurationError("from a place to itself")
    return wishes


async def _until_interrupted(copy: Copy) -> bool:
    """False if it was interrupted."""
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(copy.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return False
    return True


@click.command("copy")
@click.argument("source")
@click.argument("target")
@click.option("--follow", is_flag=True, help="Go on with every change, until Ctrl-C.")
@click.option("--prefix", default="", help="Only what is called so, or begins so.")
@click.option("--overwrite", is_flag=True, help="Also what was changed at the target by somebody else.")
@click.option("--delete", is_flag=True, help="Take away at the target what the source does not have.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --follow, from an etcd: remember how far we are, and go on there next time.",
)
def command(
    source: str, target: str, follow: bool, prefix: str, overwrite: bool, delete: bool, state: Path | None
) -> None:
    """Copy what SOURCE holds to TARGET: etcd://HOST:PORT or zookeeper://HOST:PORT/PATH.

    Ends with 0 if everything is at the target, 1 if something was refused or is in conflict, 3 if it was
    broken off; then run it again.
    """
    wishes = checked(Wishes(place_of(source), place_of(target), prefix, follow, overwrite, delete, state))
    counts = Counts()
    told = Told(counts)
    try:
        whole = asyncio.run(_until_interrupted(Copy(wishes, counts, told)))
    finally:
        click.echo(counts.told())
    if not whole and not follow:
        raise CopyFailed("interrupted before everything was copied; run it again")
    click.get_current_context().exit(REFUSED if counts.conflicts or counts.refused else 0)
