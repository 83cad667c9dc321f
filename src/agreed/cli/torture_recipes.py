"""`agreed torture --recipes`: users of locks, semaphores, elections and queues, who are hit themselves.

    agreed torture --recipes all                                  on a cluster of ours
    agreed torture --recipes lock,queue --against etcd            ours is the client, and the server is theirs
    agreed torture --recipes all --against node                   every user process is a member
    agreed torture --recipes all --against file                   whoever serves the directory dies as well
    agreed torture --recipes all --against memory                 in this process: sessions expire, tasks end

The codes it ends with are those of `agreed torture`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import click
from click.core import ParameterSource

from agreed.cli.exits import NO_ANSWER, REFUSED
from agreed.cli.torture_memory import MemoryGround
from agreed.errors import ConfigurationError
from agreed.torture.systems.table import SYSTEMS
from agreed.torture.users.grounds import FAULTS, Ground, Staff, ground_of
from agreed.torture.users.report import Tally, lines
from agreed.torture.users.run import Report, run

GROUNDS: Final = ("node", "file", "memory")
"""What there is beside the systems of nodes."""

USUAL_NODES: Final = 3
"""Where nothing else was asked for: the processes of the users need the processors as well."""

NOT_FOR_USERS: Final = ("workload", "consensus", "network", "server", "draw_all")


class Users(NamedTuple):
    """What was asked for."""

    recipes: tuple[str, ...]
    against: str
    nodes: int
    users: int
    seconds: float
    rounds: int
    seed: int
    faults: tuple[str, ...] | None
    out: Path | None


def torture_recipes(asked: Users, context: click.Context) -> int:
    """The code to end with."""
    for parameter in NOT_FOR_USERS:
        if context.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            raise ConfigurationError(f"--recipes: does not go together with --{parameter.replace('_', '-')}")
    if context.get_parameter_source("nodes") is not ParameterSource.COMMANDLINE:
        asked = asked._replace(nodes=USUAL_NODES)
    tally = Tally()
    for number in range(asked.rounds):
        tally.add(_one(asked, asked.seed + number))
    for line in tally.lines() if asked.rounds > 1 else ():
        click.echo(line)
    return 0 if tally.holds else REFUSED if tally.violated else NO_ANSWER


def _one(asked: Users, seed: int) -> Report:
    import uvloop

    directory = Path(tempfile.mkdtemp(prefix="agreed-users-"))
    keep = None if asked.out is None else asked.out / str(seed)

    async def one() -> Report:
        ground = _ground(asked, Staff(asked.users, asked.recipes, directory, seed))
        return await run(ground, asked.recipes, directory, asked.seconds, keep=keep)

    report: Report = uvloop.run(one())
    for line in lines(report):
        click.echo(line)
    if report.holds:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        click.echo(f"what users and nodes wrote is in {directory}")
    return report


def _ground(asked: Users, staff: Staff) -> Ground:
    told = f"{', '.join(asked.recipes)} against {asked.against}, seed {staff.seed}"
    if asked.against == "memory":
        click.echo(told)
        return MemoryGround(staff, click.echo)
    system = SYSTEMS[asked.against]() if asked.against in SYSTEMS else None
    click.echo(f"{told}, {system.version()}" if system else told)
    faults = FAULTS if asked.faults is None else asked.faults
    playable = [kind for kind in faults if system is None or kind in system.faults]
    return ground_of(asked.against, system, asked.nodes, staff, playable, click.echo)
