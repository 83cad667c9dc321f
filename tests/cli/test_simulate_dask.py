"""The same campaign on a Dask cluster: the same account, and a worker that dies is told by its seed."""
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import dask
import distributed
import pytest

from agreed.cli import simulate_dask
from agreed.cli.simulate_dask import DaskPool, NoCluster
from agreed.errors import ConfigurationError
from agreed.sim.campaign import WORKER_DIED, Campaign, jobs
from tests.cli import fake_player


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    # The workers are other processes, and find the players of these tests where pytest has found them.
    root = str(Path(__file__).resolve().parents[2])
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    dask.config.set({"distributed.nanny.pre-spawn-environ.PYTHONPATH": root})
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address


def played_at(address: str, player: str, seeds: int, failures_most: int | None) -> Campaign:
    campaign = Campaign(jobs(range(seeds), ["swarm"]), failures_most=failures_most)
    with DaskPool(address, name=f"tests.cli.fake_player:{player}") as pool:
        assert pool.cores == 2
        for _ in pool.play(campaign):
            pass
    return campaign


@pytest.mark.parametrize(("player", "failures_most"), [("good", 1), ("some_fail", 2)])
def test_the_account_is_that_of_one_process(address: str, player: str, failures_most: int) -> None:
    there = played_at(address, player, 24, failures_most)
    here = Campaign(jobs(range(24), ["swarm"]), failures_most=failures_most)
    while (job := here.next_job()) is not None:
        here.take(getattr(fake_player, player)(*job))
    assert there.trace_hash == here.trace_hash
    assert there.failed == here.failed
    assert there.coverage.report() == here.coverage.report()


def test_a_worker_that_dies_is_told_by_its_seed(address: str) -> None:
    campaign = played_at(address, "some_die", fake_player.KILLS + 1, None)
    assert (fake_player.KILLS, WORKER_DIED) in [(played.seed, played.failure) for played in campaign.failed]


def test_other_code_on_the_workers_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = simulate_dask.code_hash()
    monkeypatch.setattr(simulate_dask, "is_ours", lambda its_hash: its_hash != here)
    with pytest.raises(NoCluster, match="other code"):
        DaskPool(address).__enter__()


def test_an_address_at_which_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate_dask, "CONNECT_SECONDS", 0.5)
    with pytest.raises(NoCluster, match="no Dask scheduler answers"):
        DaskPool("tcp://127.0.0.1:1")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'agreed\[dask\]'"):
        DaskPool("tcp://127.0.0.1:8786")
