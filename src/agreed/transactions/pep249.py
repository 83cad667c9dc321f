"""Any other driver with the two-phase commit extension of PEP 249 as a participant.

What the extension leaves open is whether `tpc_prepare` has prepared anything: some drivers return nothing
where the database said that it rolled back.  So the name has to be found again by `tpc_recover` before the
vote is yes.

Nothing here can ask an unknown database who it is.  `agreed_database`, an attribute that the program sets on
the connection, says it; without one the name of the branch has to do, and then every program that shares the
cluster must call the same database by the same name, and no two databases by one.

There is no common word for "nothing was written": every branch is prepared.
"""
from __future__ import annotations

from typing import Any

from agreed.transactions.deadlines import shut_down
from agreed.transactions.errors import Forgotten, NotFinished, Refused, VotedNo
from agreed.transactions.names import FORMAT, BranchName
from agreed.transactions.progress import Progress
from agreed.transactions.records import Outcome
from agreed.transactions.work import Work


class Pep249Branch:
    """`given` has `xid`, `tpc_begin`, `tpc_prepare`, `tpc_commit`, `tpc_rollback` and `tpc_recover`."""

    def __init__(self, name: str, given: Any) -> None:
        self.name = name
        library = type(given).__module__.partition(".")[0]
        self.database = str(getattr(given, "agreed_database", f"{library}:{name}"))
        self.connection: Any = given
        self.driver_connection: object = given
        self._progress = Progress.IDLE
        self._xid: Any = None

    def check(self) -> Work[None]:
        if getattr(self.connection, "autocommit", False) is True:
            raise Refused(f"{self.name}: the connection is in autocommit mode, which has no transactions")
        return
        yield

    def begin(self, name: BranchName) -> Work[None]:
        self._xid = self.connection.xid(FORMAT, name.global_part, name.branch)
        yield lambda: self.connection.tpc_begin(self._xid)
        self._progress = Progress.WORKING

    def ready(self, timeout_s: float) -> Work[bool]:
        return True
        yield

    def prepare(self) -> Work[None]:
        self._progress = Progress.UNKNOWN
        yield lambda: self.connection.tpc_prepare()
        found = yield lambda: self.connection.tpc_recover()
        if _parts(self._xid) not in [_parts(each) for each in found]:
            raise VotedNo("the driver prepared it, and the database does not know it")
        self._progress = Progress.PREPARED

    def commit(self) -> Work[None]:
        if self._progress is not Progress.PREPARED:
            raise NotFinished("it is not known whether it was prepared")
        yield lambda: self.connection.tpc_commit()
        self._progress = Progress.FINISHED

    def rollback(self) -> Work[None]:
        if self._progress is Progress.UNKNOWN:
            raise NotFinished("it is not known whether it was prepared")
        if self._progress in (Progress.WORKING, Progress.PREPARED):
            yield lambda: self.connection.tpc_rollback()
            self._progress = Progress.FINISHED

    def commit_alone(self) -> Work[None]:
        self._progress = Progress.UNKNOWN
        yield lambda: self.connection.tpc_commit()
        self._progress = Progress.FINISHED

    def outcome_alone(self, deadline: float) -> Work[Outcome | None]:
        raise Forgotten(self.name)
        yield

    def release(self) -> Work[None]:
        return
        yield

    def hang_up(self) -> None:
        """PEP 249 has no word for it; some drivers tell their socket."""
        descriptor = getattr(self.connection, "fileno", None)
        if callable(descriptor):
            shut_down(descriptor())


def _parts(xid: Any) -> tuple[int, str, str]:
    return (xid[0], str(xid[1]), str(xid[2]))
