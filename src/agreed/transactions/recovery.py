"""Recovery: finishes what dead coordinators have begun, so that no branch stays prepared and keeps its locks.

What one round does, and in which order, and why, stands in `rounds.py`.

Alerts: a prepared branch of this cluster that is older than `alert_s` and could not be finished, and one of
another cluster, which we never touch, are logged, once each, and counted in every report.
"""
from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence

from agreed.client.sync import Session
from agreed.errors import AgreedError
from agreed.transactions.databases import Database
from agreed.transactions.decisions import Decisions
from agreed.transactions.election import is_active
from agreed.transactions.rounds import Report, Round
from agreed.transactions.work import run

__all__ = ["Recovery", "Report", "Round"]

log = logging.getLogger("agreed.transactions")

SESSION_S = 4.0
"""The timeout of the session of one that recovers: for so long nobody does after it has died."""

ROUND_S = 15.0
"""How long a round may wait for the cluster."""


class Recovery:
    """`session` is open, or a function that opens one: it is called again when the session is over.

    every_s       between two rounds, and for how long nobody recovers after the active one has died, beside
                  the timeout of its session
    patience_s    a decided transaction is left to its coordinator for so long
    keep_s        how long the record of one that we have finished is kept, for those who may ask
    alert_s       from which age a prepared branch is worth a line in the log"""

    round_class = Round

    def __init__(
        self,
        session: Session | Callable[[], Session],
        databases: Sequence[Database],
        *,
        every_s: float = 1.0,
        patience_s: float = 2.0,
        keep_s: float = 300.0,
        alert_s: float = 60.0,
    ) -> None:
        self.databases = tuple(databases)
        self.total = Report()
        """Sums over all rounds of what was done; of what was seen, the last."""
        self.active = False
        self._open = session if callable(session) else None
        self._session = None if callable(session) else session
        self._every_s = every_s
        self.patience_s = patience_s
        self.keep_s = keep_s
        self.alert_s = alert_s
        self.who = f"recovery at {socket.gethostname()}:{os.getpid()}"
        self.finished: set[str] = set()
        """Transactions of which every branch has said that it is finished, and whose record is kept."""
        self._told: set[str] = set()

    # --- for ever -------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Rounds while this is the active one, until `stop`.  Raises nothing: what goes wrong is logged, and
        tried again."""
        while not stop.is_set():
            try:
                session = self._connected()
                run(Decisions(session).open(time.monotonic() + ROUND_S))
                active = is_active(session, self.who, ROUND_S)
                if active != self.active:
                    log.info("atomic commit: %s", "this one recovers" if active else "another one recovers")
                self.active = active
                if active:
                    self.round()
            except AgreedError as error:
                self.say_once(f"the cluster: {error}", f"recovery has to wait: {error}")
            except Exception:
                log.exception("recovery has failed, and tries again")
            stop.wait(self._every_s)
        self.active = False
        self.close()

    def close(self) -> None:
        """The connections to the databases.  A session that was opened here is closed too."""
        for each in self.databases:
            each.close()
        if self._open is not None and self._session is not None:
            self._session.close()
            self._session = None

    def _connected(self) -> Session:
        if self._open is not None and (self._session is None or self._session.state.final):
            self._session = self._open()
        assert self._session is not None
        return self._session

    def round(self) -> Report:
        """Whoever is elected.  Raises what the session raises; databases that do not answer are reported."""
        deadline = time.monotonic() + ROUND_S
        decisions = Decisions(self._connected())
        run(decisions.open(deadline))
        this = self.round_class(self, decisions, deadline)
        this.play()
        self._add(this.report)
        return this.report

    # --- what people are told -------------------------------------------------------------------------

    def say_once(self, about: str, sentence: str) -> None:
        if about not in self._told:
            if len(self._told) > 10_000:
                self._told.clear()
            self._told.add(about)
            log.warning("%s", sentence)

    def _add(self, report: Report) -> None:
        total = self.total
        self.total = Report(
            total.aborted + report.aborted,
            total.committed + report.committed,
            total.rolled_back + report.rolled_back,
            total.forgotten + report.forgotten,
            report.waiting,
            report.old,
            report.foreign,
            report.unreachable,
        )
