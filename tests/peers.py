"""Which real peers are here: `pytest.mark.peer("postgresql")` skips a test where that one is not."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping

from agreed.torture.systems import zookeeper


def _postgresql() -> str | None:
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed: it is in the extra `postgresql`"
    from tests.transactions import postgresql

    return None if postgresql.programs() else postgresql.NOT_INSTALLED


def _mariadb() -> str | None:
    if importlib.util.find_spec("pymysql") is None:
        return "PyMySQL is not installed: it is in the extra `mariadb`"
    from tests.transactions import mariadb

    return None if mariadb.program() else mariadb.NOT_INSTALLED


def _zookeeper() -> str | None:
    return None if zookeeper.class_path() else zookeeper.NOT_INSTALLED


def _curator() -> str | None:
    from tests.backends.zookeeper import curator

    return curator.why_missing()


def _etcd() -> str | None:
    from tests.acceptance.etcd import ensemble

    return None if ensemble.packaged() else ensemble.NO_ETCD


def _debian_etcd() -> str | None:
    from tests.acceptance.etcd import ensemble

    return None if ensemble.debian() else ensemble.NO_DEBIAN_ETCD


WHY_MISSING: Mapping[str, Callable[[], str | None]] = {
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "zookeeper": _zookeeper,
    "curator": _curator,
    "etcd": _etcd,
    "debian-etcd": _debian_etcd,
}
"""For each peer a function that says why it is missing, or None where it is there."""
