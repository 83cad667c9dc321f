"""A real PostgreSQL, Debian's or any other whose programs are found, that can be killed and started again.

    with PostgreSQL() as server:
        psycopg.connect(server.dsn)

Whoever connects from loopback is `postgres`, without a password.  Transactions can be prepared (64 at a time,
where PostgreSQL's own default is none); all else is as it comes, save that it is small.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import psycopg

from agreed.torture.processes import LOOPBACK, NotServing
from tests.transactions.database import DatabaseServer

DEBIAN = Path("/usr/lib/postgresql")

NOT_INSTALLED = "PostgreSQL is not installed: `make peers` does it where there is apt"

SETTINGS: Mapping[str, str | int] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": 100,
    "max_prepared_transactions": 64,
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",  # a killed server leaves nothing in /dev/shm
    "autovacuum_naptime": "10s",
    "log_line_prefix": "%m [%p] ",
}


def programs() -> Path | None:
    """The folder with `postgres` and `initdb`, the newest where there are several; None without any."""
    versions = DEBIAN.glob("*/bin/postgres")
    newest = max(versions, key=lambda found: float(found.parent.parent.name), default=None)
    if newest is not None:
        return newest.parent
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found and shutil.which("initdb") else None


class PostgreSQL(DatabaseServer):
    """`settings` go before those of `SETTINGS`."""

    description = "PostgreSQL"
    users = ("postgres", "nobody")
    quick_end = signal.SIGQUIT

    def __init__(self, in_memory: bool = False, **settings: str | int) -> None:
        found = programs()
        if found is None:
            raise NotServing(NOT_INSTALLED)
        super().__init__(in_memory)
        self.programs = found
        self.settings = {**SETTINGS, **settings, "port": self.port}

    def dsn_of(self, database: str) -> str:
        return f"host={LOOPBACK} port={self.port} user=postgres dbname={database}"

    @property
    def dsn(self) -> str:
        return self.dsn_of("postgres")

    def make_data(self) -> None:
        initdb = [str(self.programs / "initdb"), "--pgdata", str(self.data), "--no-sync", "--no-instructions"]
        self.run([*initdb, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"])

    def command(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in self.settings.items()]
        return [str(self.programs / "postgres"), "-D", str(self.data), *settings]

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.dsn, connect_timeout=5) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True
