"""What the runs of a campaign have reached: a clean campaign that reached nothing proves nothing.

Two accounts are kept.  *Marks* are situations that only some runs get into ("figure 8", "fsync failed while
leading"); each says how often it was reached, in how many runs, and by which run first, so that somebody who
wants to see one can play it.  The *table* counts what replicas in each role did with each kind of message:
(role, message, outcome).

A mark that was never reached is told, and is the reader's to judge: the profile may exclude it (no disk fails
in `clock`), the campaign may have been short, or the simulator has lost the way there.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec


class MarkReached(msgspec.Struct, frozen=True):
    """How often a situation was reached, in how many runs, and the first of these."""

    name: str
    times: int
    runs: int
    first_profile: str | None
    first_seed: int | None


class TableRow(msgspec.Struct, frozen=True):
    """How often a replica in this role did this with this kind of message."""

    role: str
    message: str
    outcome: str
    times: int


class CoverageReport(msgspec.Struct, frozen=True):
    """The same for programs."""

    runs: int
    marks: list[MarkReached]
    never: list[str]
    table: list[TableRow]


class Coverage:
    """The sum over many runs.  `known` are the marks there are, so that what was not reached can be told."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.known = list(known)
        self.runs = 0
        self.times: Counter[str] = Counter()
        self.runs_with: Counter[str] = Counter()
        self.first: dict[str, tuple[str, int]] = {}
        self.table: Counter[tuple[str, str, str]] = Counter()

    def add(
        self, job: tuple[str, int], marks: Mapping[str, int], table: Iterable[tuple[str, str, str, int]]
    ) -> None:
        self.runs += 1
        for name, times in marks.items():
            if times:
                self.times[name] += times
                self.runs_with[name] += 1
                self.first.setdefault(name, job)
        for role, message, outcome, times in table:
            self.table[role, message, outcome] += times

    def never(self) -> list[str]:
        """The known marks that no run has reached."""
        return [name for name in self.known if not self.times[name]]

    def report(self) -> CoverageReport:
        """Marks in the order in which they are known, the table sorted."""
        names = [*self.known, *sorted(set(self.times) - set(self.known))]
        marks = [
            MarkReached(name, self.times[name], self.runs_with[name], *self.first.get(name, (None, None)))
            for name in names
        ]
        table = [TableRow(*cell, times) for cell, times in sorted(self.table.items())]
        return CoverageReport(self.runs, marks, self.never(), table)

    def line(self) -> str:
        """For somebody who watches: how many of the marks, and how many cells of the table."""
        missing = f" ({len(self.never())} never)" if self.never() else ""
        return f"{len(self.times)} marks{missing}, {len(self.table)} transitions"

    def text(self) -> str:
        """Both accounts as tables of text, for a terminal or a page."""
        return f"{self.marks_text()}\n\n{self.table_text()}"

    def marks_text(self) -> str:
        rows = [
            (
                mark.name,
                f"{mark.times:,}",
                f"{mark.runs:,}",
                f"{100 * mark.runs / max(self.runs, 1):.1f} %",
                "never" if mark.first_seed is None else f"{mark.first_profile} {mark.first_seed}",
            )
            for mark in self.report().marks
        ]
        return aligned(("mark", "times", "runs", "of runs", "first"), rows, words=(0, 4))

    def table_text(self) -> str:
        """One row for each role and message, its outcomes beside each other, the most frequent first."""
        cells: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for (role, message, outcome), times in sorted(self.table.items()):
            cells.setdefault((role, message), []).append((times, outcome))
        rows = []
        for (role, message), found in cells.items():
            found.sort(key=lambda each: -each[0])
            rows.append((role, message, ", ".join(f"{outcome} {times:,}" for times, outcome in found)))
        return aligned(("role", "message", "outcomes"), rows, words=(0, 1, 2))


def aligned(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, words: tuple[int, ...]) -> str:
    """Columns of text; those numbered in `words` to the left, numbers to the right."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
