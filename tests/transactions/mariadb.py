"""A real MariaDB, Debian's or any other whose programs are found, that can be killed and started again.

    with MariaDB() as server:
        pymysql.connect(**server.connection_arguments)

Whoever connects from loopback is `root`, without a password.  Its tables are made from the statements that
its package brings, as `mariadb-install-db` would, which needs programs from the package of the client.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pymysql

from agreed.torture.processes import LOOPBACK, NotServing
from tests.transactions.database import DatabaseServer

NOT_INSTALLED = "MariaDB is not installed: `make peers` does it where there is apt"

STATEMENTS = Path("/usr/share/mysql")
TABLES = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")

SETTINGS: Mapping[str, str | int] = {
    "bind-address": LOOPBACK,
    "innodb-buffer-pool-size": "32M",
    "innodb-log-file-size": "16M",
    "performance-schema": "OFF",
}


def program() -> str | None:
    """None where there is no server, or not the statements that make its tables."""
    complete = all((STATEMENTS / name).exists() for name in TABLES)
    return (shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")) if complete else None


class MariaDB(DatabaseServer):
    """`settings` go before those of `SETTINGS`; `_` in their names stands for `-`."""

    description = "MariaDB"
    users = ("mysql", "nobody")

    def __init__(self, in_memory: bool = False, **settings: str | int) -> None:
        found = program()
        if found is None:
            raise NotServing(NOT_INSTALLED)
        super().__init__(in_memory)
        self.program = found
        given = {name.replace("_", "-"): value for name, value in settings.items()}
        self.settings = {**SETTINGS, **given, "port": self.port}

    @property
    def connection_arguments(self) -> dict[str, Any]:
        """What `pymysql.connect` wants, with the database `test`, which is there."""
        return {"host": LOOPBACK, "port": self.port, "user": "root", "password": "", "database": "test"}

    def make_data(self) -> None:
        statements = ["create database mysql;", "create database test;", "use mysql;"]
        statements.append("set @auth_root_socket = null;")
        statements += [(STATEMENTS / name).read_text("utf-8") for name in TABLES]
        self.run(["mkdir", str(self.data)])
        self.run([*self._with_settings(), "--bootstrap"], text="\n".join(statements) + "\n")

    def command(self) -> list[str]:
        socket = f"--socket={self.directory / 'socket'}"
        return [*self._with_settings(), socket, f"--pid-file={self.directory / 'pid'}"]

    def _with_settings(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in self.settings.items()]
        return [self.program, "--no-defaults", f"--datadir={self.data}", *settings]

    def answers(self) -> bool:
        try:
            pymysql.connect(**self.connection_arguments, connect_timeout=5).close()
        except pymysql.Error:
            return False
        return True
