"""Plays one job in a worker: a run of the simulator, cut down to what the account of a campaign needs."""
from __future__ import annotations

import gc
import time

from agreed.sim.campaign import Played
from agreed.sim.outcome import Outcome
from agreed.sim.run import run


def play(profile: str, seed: int) -> Played:
    """A run from its seed."""
    # A run makes few cycles and is soon over: to look for them meanwhile costs more than to keep them.
    gc.disable()
    began = time.process_time()
    try:
        outcome = run(seed, profile)
        return summary(outcome, time.process_time() - began)
    finally:
        gc.enable()


def summary(outcome: Outcome, seconds: float) -> Played:
    """Without the plan, the history and the story: whoever wants them plays it again."""
    return Played(
        outcome.profile,
        outcome.seed,
        outcome.failure,
        outcome.message,
        outcome.trace_hash,
        outcome.events,
        outcome.simulated_ms,
        outcome.marks,
        outcome.table,
        round(seconds, 6),
    )
