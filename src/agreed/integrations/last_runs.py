"""What a schedule has done already, kept where the next leader finds it.

    runs = LastRuns(leadership, "celery/beat")
    runs.take_over(term)                        read what others have done
    runs.get(name)                              when it was begun last, or None
    runs.claim(term, name, at)                  raises LeadershipLost unless it is ours to do; before doing it

At most once.  What is due is claimed before it is done, by a commit that holds only while this term does in
the service, and the next leader reads the claims after its own term has begun.  So whatever was claimed is
not begun a second time, however long this process stands still in between, and what was not claimed is begun
by the next one.  A leader that dies between its claim and what it was about to do leaves that undone: one run
of one entry.

Times are those of the clock of whoever led, in UTC.  A run is due or not by what is recorded, so that clocks
that differ make runs early or late by their difference, and not twice.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from agreed.backends.contract import Delete, Put
from agreed.coordination.synchronous.election import Term
from agreed.integrations.leadership import Leadership
from agreed.recipes.errors import LeadershipLost

PREFIX: Final = "run-"
"""So that no entry is called "." or "..", which would be no key."""


FORGET_AFTER: Final = timedelta(days=30)
"""Longer than two versions of one schedule run beside each other."""

REMEMBERED: Final = FORGET_AFTER - timedelta(days=1)
"""Less than that, for clocks differ.  What is older may have been done by somebody who is forgotten."""


class Run(msgspec.Struct, frozen=True):
    """`token` is that of the term in which it was claimed; `count`: how many were before and with it."""

    at: datetime
    count: int
    token: int


class LastRuns:
    """They stand beside the election, below `NAME.runs`."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership
        self._directory = f"{leadership.where.name}.runs"
        self._runs: dict[str, Run] = {}

    def take_over(self, term: Term) -> None:
        """Read what those before have done.  Raises what the service does."""
        found = self._leadership.entries(self._directory)
        self._runs = {
            unquote(entry.key.rpartition("/")[2].removeprefix(PREFIX)): msgspec.json.decode(
                entry.value, type=Run
            )
            for entry in found
        }

    def get(self, name: str) -> Run | None:
        return self._runs.get(name)

    def may_be_done(self, name: str, at: datetime, now: datetime) -> bool:
        """Whether the run of this instant was claimed, or could have been without a trace."""
        run = self._runs.get(name)
        return now - at > REMEMBERED if run is None else at <= run.at

    def claim(self, term: Term, name: str, at: datetime) -> None:
        """Raises LeadershipLost; what the service does, and then it may have been claimed."""
        before = self._runs.get(name)
        self._write(term, {name: Run(at.astimezone(UTC), 1 + (before.count if before else 0), term.token)})

    def begin(self, term: Term, seen: Mapping[str, datetime]) -> None:
        """Of entries that nobody has run yet: from when their time counts."""
        new = [(name, at) for name, at in seen.items() if name not in self._runs]
        most = self._leadership.most_changes() if new else 0
        for first in range(0, len(new), most or 1):
            runs = {name: Run(at.astimezone(UTC), 0, term.token) for name, at in new[first : first + most]}
            self._write(term, runs)

    def forget(self, term: Term, known: Container[str], now: datetime) -> None:
        """What nobody has run for long and this schedule does not know: an entry that was taken out of it, a
        job that was to run once."""
        old = [
            name
            for name, run in self._runs.items()
            if name not in known and now.astimezone(UTC) - run.at > FORGET_AFTER
        ]
        most = self._leadership.most_changes() if old else 0
        for first in range(0, len(old), most or 1):
            names = old[first : first + most]
            self._commit(term, [Delete(self._key(name)) for name in names])
            for name in names:
                del self._runs[name]

    def _key(self, name: str) -> str:
        return f"{self._directory}/{PREFIX}{quote(name, safe='')}"

    def _commit(self, term: Term, changes: list[Put | Delete]) -> None:
        if not self._leadership.commit(term, changes):
            raise LeadershipLost(f"{term.name} (token {term.token}) does not lead any more")

    def _write(self, term: Term, runs: Mapping[str, Run]) -> None:
        self._commit(term, [Put(self._key(name), msgspec.json.encode(run)) for name, run in runs.items()])
        self._runs.update(runs)
