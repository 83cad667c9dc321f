"""`agreed torture`: real processes, real disks, real sockets, and everything that can go wrong with them.

    agreed torture --minutes 5                               five nodes of ours, all workloads, all faults
    agreed torture --workload register --faults kill,pause   only these
    agreed torture --minutes 2.4 --rounds 25                 25 clusters, one after the other: an hour
    agreed torture --consensus vr                            nodes that speak another protocol than Raft
    agreed torture --against zookeeper --nodes 3             the same work on a real ZooKeeper
    agreed torture --network namespaces                      packets are lost, and not held back (as root)
    agreed torture --seed 7 --out results --html             histories and pages are kept in `results`
    agreed torture --recipes lock,queue --against etcd       users of recipes, who are killed as well

Ends with 0 if every promise was kept, 1 if one was broken or a node misbehaved, 2 if it was misused, and 3 if
nothing was found wrong but not everything could be judged, or the system could not be started.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
import tempfile
from pathlib import Path

import click

from agreed.cli.exits import NO_ANSWER, REFUSED
from agreed.cli.torture_recipes import GROUNDS, Users, torture_recipes
from agreed.consensus import protocols
from agreed.errors import ConfigurationError
from agreed.torture.faults.nemesis import FAULTS
from agreed.torture.report import Tally, lines, save
from agreed.torture.run import NETWORKS, Plan, Report, run
from agreed.torture.systems.agreed import SERVE, Agreed
from agreed.torture.systems.system import System
from agreed.torture.systems.table import SYSTEMS
from agreed.torture.users import grounds, work
from agreed.torture.workloads.table import WORKLOADS

ALL = "all"


class Names(click.ParamType[tuple[str, ...]]):
    """Some of the known names, with commas, or `all`."""

    name = "name,..."

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(",") if name.strip())
        if names == (ALL,):
            return self._known
        for name in names:
            if name not in self._known:
                self.fail(f"{name!r} is none of {', '.join((*self._known, ALL))}", parameter, context)
        return names


def possible(
    system: System, workloads: tuple[str, ...], faults: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """What of this can be done with this system; the rest is told.  Raises `ConfigurationError` where no
    work is left."""
    for what, asked, able in (("workload", workloads, system.workloads), ("fault", faults, system.faults)):
        for name in asked:
            if name not in able:
                click.echo(f"the {what} {name} is left out: {system.name} cannot do it")
    left = [name for name in workloads if name in system.workloads]
    if not left:
        raise ConfigurationError(f"--workload: {system.name} can do none of these")
    return left, [name for name in faults if name in system.faults]


def torture(plan: Plan, keep: Path | None, draw_all: bool) -> Report:
    """One run, and what is said of it."""
    import uvloop

    click.echo(f"{plan.system.version()}, {plan.nodes} nodes, seed {plan.seed}")
    report: Report = uvloop.run(run(plan, click.echo))
    for line in lines(report):
        click.echo(line)
    if keep is not None:
        save(report, keep, draw_all)
        click.echo(f"histories are in {keep}")
    if report.holds:
        shutil.rmtree(plan.directory, ignore_errors=True)
    else:
        click.echo(f"what the nodes wrote is in {plan.directory}")
    return report


@click.command("torture")
@click.option(
    "--nodes",
    default=5,
    show_default=True,
    type=click.IntRange(1, 9),
    help="How many (with --recipes: 3, where nothing is said).",
)
@click.option(
    "--minutes", default=1.0, show_default=True, type=click.FloatRange(min=0.05), help="Of work under faults."
)
@click.option(
    "--rounds",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="So often, each time with a new cluster and the next seed.",
)
@click.option(
    "--workload",
    default=ALL,
    show_default=True,
    type=Names(tuple(WORKLOADS)),
    help=f"What clients do: {', '.join(WORKLOADS)}, or all.",
)
@click.option(
    "--recipes",
    type=Names(work.RECIPES),
    help=f"Processes that use {', '.join(work.RECIPES)} (or all) do the work, and are hit themselves.",
)
@click.option(
    "--users", default=8, show_default=True, type=click.IntRange(1, 64), help="With --recipes: how many."
)
@click.option(
    "--faults",
    type=Names(tuple(FAULTS)),
    help=f"What goes wrong: {', '.join(FAULTS)}, or all; empty: nothing (default: all; with --recipes:"
    f" {', '.join(grounds.FAULTS)}).",
)
@click.option(
    "--against",
    default="agreed",
    show_default=True,
    type=click.Choice([*SYSTEMS, *GROUNDS]),
    help=f"Which system; a real ZooKeeper or etcd must be installed. {', '.join(GROUNDS)}: with --recipes.",
)
@click.option(
    "--consensus",
    type=click.Choice(list(protocols.NAMES)),
    help=f"What nodes of ours speak (default: {protocols.RAFT}).",
)
@click.option(
    "--network",
    default=NETWORKS[0],
    show_default=True,
    type=click.Choice(NETWORKS),
    help="What is between nodes: relays of ours, or network namespaces (Linux, root).",
)
@click.option("--seed", type=int, help="Of all that is drawn (default: a fresh one, which is told).")
@click.option("--out", metavar="DIRECTORY", type=click.Path(path_type=Path), help="Keep the histories here.")
@click.option("--html", "draw_all", is_flag=True, help="Draw every history, not only what does not hold.")
@click.option(
    "--server",
    metavar="COMMAND",
    help="What runs a node of ours in the place of `agreed serve`: a variant that is to be judged.",
)
def command(
    nodes: int,
    minutes: float,
    rounds: int,
    workload: tuple[str, ...],
    recipes: tuple[str, ...] | None,
    users: int,
    faults: tuple[str, ...] | None,
    against: str,
    consensus: str | None,
    network: str,
    seed: int | None,
    out: Path | None,
    draw_all: bool,
    server: str | None,
) -> None:
    """Start a cluster of real processes, break it while clients work, and judge what they saw.

    Nothing but processes that were started here is touched, and nothing leaves this machine.
    """
    if server is not None and against != "agreed":
        raise ConfigurationError("--server: replaces `agreed serve`, so it needs --against agreed")
    if consensus is not None and against != "agreed":
        raise ConfigurationError("--consensus: is told to nodes of ours, so it needs --against agreed")
    if draw_all and out is None:
        raise ConfigurationError("--html: needs --out, where the pages are to be put")
    first = secrets.randbelow(1 << 32) if seed is None else seed
    context = click.get_current_context()
    if recipes is not None:
        asked = Users(recipes, against, nodes, users, minutes * 60, rounds, first, faults, out)
        context.exit(torture_recipes(asked, context))
    if against in GROUNDS:
        raise ConfigurationError(f"--against {against}: there are no nodes there; it needs --recipes")
    system: System = SYSTEMS[against]()
    if against == "agreed":
        serve = shlex.split(server) if server else SERVE
        system = Agreed(serve, consensus=consensus or protocols.RAFT)
    workloads, kinds = possible(system, workload, tuple(FAULTS) if faults is None else faults)
    tally = Tally()
    for number in range(first, first + rounds):
        plan = Plan(
            system=system,
            nodes=nodes,
            seconds=minutes * 60,
            workloads=workloads,
            faults=kinds,
            seed=number,
            directory=Path(tempfile.mkdtemp(prefix="agreed-torture-")),
            network=network,
        )
        keep = out / str(number) if out is not None and rounds > 1 else out
        tally.add(plan.seconds, torture(plan, keep, draw_all))
    if rounds > 1:
        for line in tally.lines():
            click.echo(line)
    context.exit(0 if tally.holds else REFUSED if tally.violated else NO_ANSWER)
