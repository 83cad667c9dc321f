"""What the coordinator asks of each branch, whatever database is behind it.

    check       can this connection take part at all?  then who is the database?
    begin       a transaction under this name
    ready       can it be committed, and has it written anything?
    prepare     promise to commit or roll back as decided, whatever happens         (the vote)
    commit          as decided
    rollback        as decided, or given up
    commit_alone    without having prepared: of one who decides for itself
    outcome_alone   what has become of such a commit that was not answered
    release     leave the connection as it was found
    hang_up     it takes too long: let the call that is under way fail

Every method but the last is `Work` (`work.py`).  Of what `ready`, `prepare` and `commit_alone` raise,
`VotedNo` says that it surely is rolled back; after anything else nobody knows.  Of `commit` and `rollback`,
`None` says that it surely is finished; after anything raised it is left to recovery.  So an adapter returns
only what its database has said.

The adapters are `postgresql.py`, `mariadb.py`, `pep249.py` and `sqlalchemy_engines.py`; the library of a
database is imported by its adapter alone.
"""
from __future__ import annotations

from typing import Any, Protocol

from agreed.transactions.errors import Refused
from agreed.transactions.names import BranchName
from agreed.transactions.records import Outcome
from agreed.transactions.work import Work


class Participant(Protocol):
    """`connection` is what the program sees.  `database` is known after `check`: what the database calls
    itself, so that recovery knows which it is whatever address leads to it."""

    name: str

    @property
    def database(self) -> str: ...

    @property
    def connection(self) -> Any: ...

    @property
    def driver_connection(self) -> object:
        """The thing that must not take part twice."""
        ...

    def check(self) -> Work[None]:
        """Raises Refused."""
        ...

    def begin(self, name: BranchName) -> Work[None]: ...

    def ready(self, timeout_s: float) -> Work[bool]:
        """Whether it has written; what follows may take the database `timeout_s`.  Raises VotedNo."""
        ...

    def prepare(self) -> Work[None]:
        """Raises VotedNo."""
        ...

    def commit(self) -> Work[None]: ...

    def rollback(self) -> Work[None]:
        """However far it has come, also where it is not known whether it is prepared."""
        ...

    def commit_alone(self) -> Work[None]:
        """Raises VotedNo."""
        ...

    def outcome_alone(self, deadline: float) -> Work[Outcome | None]:
        """What has become of a `commit_alone` that was not answered, from the database itself.  None: nothing
        yet.  Raises Forgotten where it cannot tell, NotFinished where it does not answer."""
        ...

    def release(self) -> Work[None]: ...

    def hang_up(self) -> None:
        """From another thread, while a call is under way: let it fail as if the database had gone."""
        ...


def participant(name: str, given: Any) -> Participant:
    """The adapter for what a program has given.  Raises Refused."""
    libraries = {each.__module__.partition(".")[0] for each in type(given).__mro__}
    if "agreed" in libraries:
        raise Refused(
            f"{name}: a cluster cannot be told to prepare.  The one that holds the decisions takes part as "
            "`tx.cluster`, whose operations happen exactly with the decision; no other one can"
        )
    if "sqlalchemy" in libraries:
        from agreed.transactions.sqlalchemy_engines import SqlAlchemyBranch

        return SqlAlchemyBranch(name, given)
    return driver_participant(name, given)


def driver_participant(name: str, given: Any) -> Participant:
    """The same for the connection of a driver.  Raises Refused."""
    libraries = {each.__module__.partition(".")[0] for each in type(given).__mro__}
    if "psycopg" in libraries:
        from agreed.transactions.postgresql import PostgreSqlBranch

        return PostgreSqlBranch(name, given)
    if "pymysql" in libraries:
        from agreed.transactions.mariadb import MariaDbBranch

        return MariaDbBranch(name, given)
    if "psycopg2" in libraries:
        raise Refused(f"{name}: psycopg2 does not tell whether it has prepared; use psycopg (3)")
    if hasattr(given, "tpc_begin") and hasattr(given, "tpc_recover"):
        from agreed.transactions.pep249 import Pep249Branch

        return Pep249Branch(name, given)
    raise Refused(
        f"{name}: {type(given).__name__} has no two-phase commit; give a connection of psycopg or PyMySQL, "
        "an engine or connection of SQLAlchemy, or any connection with the two-phase commit of PEP 249"
    )
