"""The databases in which recovery may finish branches, each with a connection of its own.

    orders = "postgresql://recovery:secret@db1/orders"
    billing = "mariadb://recovery:secret@db2:3306"

is the file that `load` reads: names for people, addresses for us.  Which database it is that answers there is
asked of the database (`identity`) on every new connection: behind an address may be another server tomorrow.

Who recovers must be allowed to finish what others have prepared.  For PostgreSQL that is the same user or a
superuser; for MariaDB, whoever has XA_RECOVER_ADMIN or what that version wants instead.
"""
from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import NamedTuple, Protocol

from agreed.errors import ConfigurationError
from agreed.transactions.names import BranchName

log = logging.getLogger("agreed.transactions")

CONNECT_S = 5
STATEMENT_S = 10


class Prepared(NamedTuple):
    """A branch that waits for its decision.  `age_s`, by the clock of its database; None where it does not
    tell (XA has no word for it)."""

    name: BranchName
    age_s: float | None


class Database(Protocol):
    """Every method connects if there is no connection, and raises NotFinished if it cannot do its work."""

    label: str

    def identity(self) -> str: ...

    def prepared(self) -> list[Prepared]:
        """All branches with names of ours, of whichever cluster."""
        ...

    def commit(self, name: BranchName, identity: str) -> None:
        """It is finished when this returns.  One that is not there is finished already; so this must be the
        database of that identity, also if it was connected anew since it was asked for it."""
        ...

    def rollback(self, name: BranchName, identity: str) -> None:
        """The same."""
        ...

    def close(self) -> None: ...


def load(file: Path) -> list[Database]:
    """Raises ConfigurationError."""
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
        if file.stat().st_mode & 0o004:
            log.warning("%s can be read by everybody on this machine; it may hold passwords", file)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: not TOML ({error})") from error
    for label, address in said.items():
        if not isinstance(address, str):
            raise ConfigurationError(f'{file}: {label}: give an address, {label} = "postgresql://..."')
    return [database(label, address) for label, address in said.items()]


def database(label: str, address: str) -> Database:
    """Nothing is connected yet.  Raises ConfigurationError for an address of nothing we know."""
    scheme = address.partition("://")[0] if "://" in address else "postgresql"
    try:
        if scheme in ("postgresql", "postgres"):
            from agreed.transactions.postgresql import PostgreSqlDatabase

            return PostgreSqlDatabase(label, address)
        if scheme in ("mariadb", "mysql"):
            from agreed.transactions.mariadb import MariaDbDatabase

            return MariaDbDatabase(label, address)
    except ImportError as error:
        extra = "postgresql" if scheme.startswith("postgres") else "mariadb"
        raise ConfigurationError(f"{label}: {error}; install agreed[{extra}]") from error
    raise ConfigurationError(f"{label}: {scheme}:// is no database of ours; postgresql:// and mariadb:// are")
