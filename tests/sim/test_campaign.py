"""A campaign says the same whoever plays it, in whatever order the results come."""
from __future__ import annotations

import random

import msgspec
import pytest

from agreed.sim.campaign import WORKER_DIED, Campaign, Job, jobs, lost
from tests.cli import fake_player


def play(campaign: Campaign, workers: int, shuffled_by: int, player=fake_player.some_fail) -> list[Job]:
    """As a pool does, with results in a random order; returns the jobs in the order in which they counted."""
    dice = random.Random(shuffled_by)
    under_way: list[Job] = []
    counted = []
    while not campaign.over:
        while len(under_way) < workers and (job := campaign.next_job()) is not None:
            under_way.append(job)
        if under_way:
            job = under_way.pop(dice.randrange(len(under_way)))
            counted += [played.job for played in campaign.take(player(*job))]
    return counted


def account(campaign: Campaign) -> object:
    return (
        campaign.trace_hash,
        campaign.totals,
        campaign.by_profile,
        [played.job for played in campaign.failed],
        campaign.coverage.report(),
    )


def test_seeds_are_played_in_each_profile_in_turn() -> None:
    planned = list(jobs(range(2), ["disk", "clock"]))
    assert planned == [Job("disk", 0), Job("clock", 0), Job("disk", 1), Job("clock", 1)]
    assert planned[2].command == "agreed simulate --seed 1 --profile disk"


@pytest.mark.parametrize("failures_most", [1, 2, None])
def test_it_says_the_same_with_any_number_of_workers(failures_most: int | None) -> None:
    accounts = []
    for workers, shuffled_by in ((1, 0), (2, 1), (7, 2), (30, 3)):
        campaign = Campaign(jobs(range(25), ["swarm", "disk"]), failures_most=failures_most)
        counted = play(campaign, workers, shuffled_by)
        assert counted == list(jobs(range(25), ["swarm", "disk"]))[: len(counted)]
        accounts.append(account(campaign))
    assert all(each == accounts[0] for each in accounts)


@pytest.mark.parametrize(("failures_most", "runs", "failures"), [(1, 5, 1), (2, 10, 2), (None, 25, 5)])
def test_it_ends_with_the_failure_after_which_it_was_to_stop(
    failures_most: int | None, runs: int, failures: int
) -> None:
    campaign = Campaign(jobs(range(25), ["swarm"]), failures_most=failures_most)
    play(campaign, 4, 0)
    assert (campaign.totals.runs, campaign.totals.failures) == (runs, failures)
    assert [played.seed for played in campaign.failed] == [4, 9, 14, 19, 24][:failures]


def test_nothing_is_handed_out_that_could_not_count() -> None:
    campaign = Campaign(jobs(range(100), ["swarm"]))
    first = [campaign.next_job() for _ in range(6)]
    assert first[4] is not None
    assert campaign.take(fake_player.some_fail(*first[4])) == [], "those before it are still being played"
    assert campaign.next_job() is None
    assert not campaign.over
    for job in first[:4]:
        assert job is not None
        campaign.take(fake_player.some_fail(*job))
    assert campaign.over
    assert [played.seed for played in campaign.failed] == [4]


def test_stopped_it_waits_for_what_is_under_way() -> None:
    campaign = Campaign(jobs(range(100), ["swarm"]))
    job = campaign.next_job()
    assert job is not None
    campaign.stop()
    assert campaign.next_job() is None
    assert not campaign.over
    campaign.take(fake_player.good(*job))
    assert campaign.over
    assert campaign.totals.runs == 1


def test_one_trace_that_differs_changes_the_hash_of_all() -> None:
    hashes = set()
    for different in (None, 3):
        campaign = Campaign(jobs(range(8), ["swarm"]))
        while (job := campaign.next_job()) is not None:
            played = fake_player.good("swarm", job.seed)
            if job.seed == different:
                played = msgspec.structs.replace(played, trace_hash="another")
            campaign.take(played)
        hashes.add(campaign.trace_hash)
    assert len(hashes) == 2


def test_a_result_that_will_never_come_is_a_failure() -> None:
    campaign = Campaign(jobs(range(3), ["swarm"]))
    job = campaign.next_job()
    assert job is not None
    [played] = campaign.take(lost(job, WORKER_DIED, "killed by signal 9"))
    assert campaign.failed == [played]
    assert campaign.over
