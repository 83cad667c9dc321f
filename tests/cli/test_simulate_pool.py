"""Seeds on several processes: the same account as on one, and a process that dies takes one seed with it."""
from __future__ import annotations

import pytest

from agreed.cli.simulate_pool import Pool
from agreed.sim.campaign import DID_NOT_END, WORKER_DIED, Campaign, jobs
from tests.cli.fake_player import HANGS, KILLS


def played_by(
    workers: int, player: str, *, seeds: int = 24, failures_most: int | None = None, **knobs: float
) -> Campaign:
    campaign = Campaign(jobs(range(seeds), ["swarm"]), failures_most=failures_most)
    with Pool(workers, name=f"tests.cli.fake_player:{player}", **knobs) as pool:
        for _ in pool.play(campaign):
            pass
    return campaign


@pytest.mark.parametrize(("player", "failures_most"), [("good", 1), ("some_fail", 2), ("some_fail", None)])
def test_the_account_is_the_same_with_any_number_of_workers(player: str, failures_most: int | None) -> None:
    one, three = (played_by(workers, player, failures_most=failures_most) for workers in (1, 3))
    assert one.trace_hash == three.trace_hash
    assert one.totals == three.totals
    assert one.failed == three.failed
    assert one.coverage.report() == three.coverage.report()


def test_a_worker_that_dies_is_told_by_its_seed_and_replaced() -> None:
    campaign = played_by(2, "some_die", seeds=KILLS + 3)
    assert campaign.totals.runs == KILLS + 3
    [dead] = campaign.failed
    assert (dead.seed, dead.failure) == (KILLS, WORKER_DIED)
    assert "signal 9 (SIGKILL)" in dead.message


def test_a_seed_that_does_not_end_is_given_up() -> None:
    campaign = played_by(2, "some_die", seeds=HANGS + 3, job_seconds_most=2.0)
    assert [(played.seed, played.failure) for played in campaign.failed] == [
        (KILLS, WORKER_DIED),
        (HANGS, DID_NOT_END),
    ]
    assert campaign.totals.runs == HANGS + 3


def test_it_ends_soon_when_it_is_told_to() -> None:
    campaign = Campaign(jobs(range(10**9), ["swarm"]))
    with Pool(2, name="tests.cli.fake_player:good") as pool:
        for _ in pool.play(campaign):
            if campaign.totals.runs >= 10:
                campaign.stop()
    assert campaign.over
    assert 10 <= campaign.totals.runs < 10_000
