"""From the diaries of users to what can be judged (`agreed.check.grants`).

A grant's tenure ends at the first line that says it is about to end; a job about which a diary ends with
"about to be acknowledged" may have been done; what was about to be put may be there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agreed.check.grants import (
    Access,
    Acknowledgement,
    Effect,
    Look,
    Put,
    Tenure,
    Terms,
    Told,
)
from agreed.check.history import Status
from agreed.torture.users import diary as lines
from agreed.torture.users import work
from agreed.torture.users.diary import Line


@dataclass
class Written:
    """What all diaries together say of one recipe."""

    tenures: list[Tenure] = field(default_factory=list)
    accesses: list[Access] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    puts: list[Put] = field(default_factory=list)
    acknowledgements: list[Acknowledgement] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    finished: set[str] = field(default_factory=set)
    """By whom the last thing was obtained."""

    @property
    def lost(self) -> int:
        """Attempts that ended with a grant that was lost."""
        return sum(number for error, number in self.failures.items() if error.endswith("Lost"))


def read_all(directory: Path, recipes: Iterable[str], accesses: Iterable[Access]) -> dict[str, Written]:
    """By recipe.  `directory` holds the diaries, one file for each life of a user."""
    found = {recipe: Written() for recipe in recipes}
    for file in sorted(directory.glob("*.jsonl")):
        _Reading(file.stem, found).read(lines.read(file))
    for access in accesses:
        found[access.holder.rpartition("/")[2]].accesses.append(access)
    return found


class _Reading:
    """Of one diary."""

    def __init__(self, who: str, found: Mapping[str, Written]) -> None:
        self._who = who
        self._found = found
        self._granted: dict[int, lines.Granted] = {}
        self._certain: dict[int, int] = {}
        self._ended: dict[int, int] = {}
        self._acknowledged: dict[int, Status] = {}
        self._put: dict[str, Status] = {}

    def read(self, those: Sequence[Line]) -> None:
        for line in those:
            self._take(line)
        for number, granted in self._granted.items():
            self._found[granted.recipe].tenures.append(
                Tenure(
                    name=granted.name,
                    holder=f"{self._who}/{granted.recipe}",
                    token=granted.token,
                    asked=granted.asked,
                    obtained=granted.at,
                    certain_until=self._certain.get(number),
                    ended=self._ended.get(number),
                )
            )
        for number, status in self._acknowledged.items():
            granted = self._granted[number]
            self._found["queue"].acknowledgements.append(
                Acknowledgement(
                    job=granted.name, token=granted.token, holder=f"{self._who}/queue", status=status
                )
            )
        if "queue" in self._found:
            self._found["queue"].puts += [Put(job=job, status=status) for job, status in self._put.items()]

    def _take(self, line: Line) -> None:
        match line:
            case lines.Granted(number=number):
                self._granted[number] = line
            case lines.Certain(number=number, until=until):
                self._certain[number] = max(until, self._certain.get(number, until))
            case lines.Ending(number=number, at=at, acknowledges=acknowledges):
                self._ended.setdefault(number, at)
                if acknowledges:
                    self._acknowledged[number] = Status.INFO
            case lines.Acknowledged(number=number, status=status):
                self._acknowledged[number] = status
            case lines.Putting(job=job):
                self._put[job] = Status.INFO
            case lines.Kept(job=job, status=status):
                self._put[job] = status
            case lines.Looked(name=name, asked=asked, answered=answered, token=token):
                look = Look(name=name, by=self._who, asked=asked, answered=answered, token=token)
                self._found["election"].looks.append(look)
            case lines.Failed(recipe=recipe, error=error):
                if recipe in self._found:
                    self._found[recipe].failures[error.partition("(")[0]] += 1
            case lines.Finished(recipe=recipe):
                self._found[recipe].finished.add(self._who)


def told(recipe: str, written: Written, effects: Mapping[str, int] | None) -> Told:
    """`effects`: by job, under which token it was done, when all was over; None: the end was not reached."""
    return Told(
        terms=Terms(
            permits=work.PERMITS if recipe == "semaphore" else 1,
            drained=recipe == "queue" and effects is not None,
        ),
        tenures=written.tenures,
        accesses=written.accesses,
        looks=written.looks,
        puts=written.puts,
        acknowledgements=written.acknowledgements,
        effects=[Effect(job=job, token=token) for job, token in (effects or {}).items()]
        if recipe == "queue"
        else (),
    )
