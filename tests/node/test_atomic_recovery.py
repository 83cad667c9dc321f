"""Recovery in a node: whether there is one.  What it does, with real databases: `tests/transactions`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agreed.errors import ConfigurationError
from agreed.node.atomic_recovery import atomic_recovery
from agreed.node.loading import load
from agreed.node.start import EXIT_REFUSED
from agreed.torture.processes import free_ports
from agreed.transactions.databases import database


def test_without_databases_there_is_none() -> None:
    assert atomic_recovery(load({}, {})) is None


def test_it_needs_the_port_of_clients() -> None:
    with pytest.raises(ConfigurationError, match="atomic_databases: needs zookeeper"):
        load({"atomic_databases": "databases.toml", "zookeeper": "off"}, {})


def test_a_file_that_names_no_databases_is_told_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        atomic_recovery(load({"atomic_databases": str(tmp_path / "nowhere.toml")}, {}))


def test_a_node_that_cannot_recover_founds_no_cluster(tmp_path: Path) -> None:
    """It is told before anything else is done, and what is told is all that has happened."""
    file = tmp_path / "databases.toml"
    file.write_text('orders = "oracle://127.0.0.1/orders"')
    client, peer = free_ports(2)
    addresses = ["--zookeeper", f"127.0.0.1:{client}", "--peers", f"n1=127.0.0.1:{peer}"]
    serve = [sys.executable, "-m", "agreed", "serve", "--name", "n1", "--data", str(tmp_path / "n1")]
    command = [*serve, *addresses, "--atomic-databases", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = ended.stdout + ended.stderr
    assert ended.returncode == EXIT_REFUSED, said
    assert "oracle:// is no database of ours" in said
    assert "belongs to the cluster" not in said


@pytest.mark.parametrize(
    ("scheme", "module", "extra"),
    [("postgres", "postgresql", "postgresql"), ("mysql", "mariadb", "mariadb")],
)
def test_the_missing_library_is_named_as_it_is_installed(
    scheme: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, f"agreed.transactions.{module}", None)
    with pytest.raises(ConfigurationError, match=re.escape(f"install agreed[{extra}]")):
        database("orders", f"{scheme}://127.0.0.1/orders")


def test_it_can_be_stopped_before_anybody_answers(tmp_path: Path) -> None:
    file = tmp_path / "databases.toml"
    file.write_text("")
    recovery = atomic_recovery(load({"atomic_databases": str(file), "zookeeper": "127.0.0.1:1"}, {}))
    assert recovery is not None
    recovery.stop()
    recovery.start()
    recovery._thread.join(30)
    assert not recovery._thread.is_alive()
