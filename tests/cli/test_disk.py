"""`agreed disk inspect` tells what is there, and whether a node could start on it."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agreed.cli.disk import command
from agreed.cli.exits import NOT_STARTED
from agreed.disk.files import RealFiles
from agreed.disk.recovery import recover
from agreed.errors import ConfigurationError


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    recover(tmp_path, RealFiles(), name="n1", fresh_identity=7).close()
    return tmp_path


def test_a_fresh_directory_is_fine(fresh: Path) -> None:
    told = CliRunner().invoke(command, ["inspect", str(fresh)])
    assert told.exit_code == 0, told.output
    assert "n1" in told.output


def test_for_programs(fresh: Path) -> None:
    told = CliRunner().invoke(command, ["inspect", "--json", str(fresh)])
    assert json.loads(told.output)["identity"]["identity"] == 7


def test_a_damaged_one_ends_with_the_code_of_a_node_that_refuses_to_start(fresh: Path) -> None:
    (fresh / "identity").write_bytes(b"rotten")
    told = CliRunner().invoke(command, ["inspect", str(fresh)])
    assert told.exit_code == NOT_STARTED
    assert "identity" in told.output


def test_what_is_no_directory_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a directory"):
        CliRunner().invoke(command, ["inspect", str(tmp_path / "absent")], catch_exceptions=False)
