"""The bounded form of `agreed torture --recipes`: some seconds on a cluster of ours.  The long form is the
command; what it finds where recipes are wrong is in `tests/torture/broken_users.py`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agreed.torture.systems.agreed import Agreed
from agreed.torture.users import work
from agreed.torture.users.grounds import Staff, ground_of
from agreed.torture.users.report import lines
from agreed.torture.users.run import run

USERS = 4
SECONDS = 5.0
FAULTS = ("kill", "pause", "partition")


@pytest.mark.timeout(400)
def test_users_and_nodes_die_and_every_promise_is_kept(tmp_path: Path) -> None:
    staff = Staff(USERS, work.RECIPES, tmp_path, 3)
    ground = ground_of("agreed", Agreed(), 3, staff, FAULTS, lambda sentence: None)
    report = asyncio.run(run(ground, work.RECIPES, tmp_path, SECONDS, keep=tmp_path / "kept"))
    told = "\n".join(lines(report))
    assert report.holds, told
    assert report.played, told
    for recipe in work.NAMES:
        # Also where the machine was too slow for anything else: everybody obtains it once more at the end.
        assert len(report.written[recipe].tenures) >= USERS, told
        assert len(report.written[recipe].accesses) >= USERS, told
