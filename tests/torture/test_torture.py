"""A few rounds of each torture; the long forms are commands (see the modules)."""
from __future__ import annotations

from tests.torture import failover, fuzz, power_loss


def test_killed_leaders_cost_no_acknowledged_write_and_no_session() -> None:
    outcome = failover.run(kills=3)
    assert not outcome.problems, "\n".join(outcome.problems)
    assert outcome.kills == 3
    assert outcome.acknowledged > 50


def test_power_losses_cost_no_acknowledged_write_and_no_half_of_a_multi() -> None:
    outcome = power_loss.run(times=3)
    assert not outcome.problems, "\n".join(outcome.problems)
    assert outcome.acknowledged > 50
    assert outcome.pairs > 20


def test_nonsense_on_every_port_troubles_no_honest_client() -> None:
    outcome = fuzz.run(inputs=20_000)
    assert not outcome.problems, "\n".join(outcome.problems)
    assert outcome.honest > 5
