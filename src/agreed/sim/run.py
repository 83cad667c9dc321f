"""One run: a safety phase, a liveness phase, and what came of it.

    plan = draw(seed, profile)             what will be done; `draw.py`
    outcome = run(seed, profile)           the same seed gives the same outcome, hash and all
    outcome = run(seed, plan=smaller)      a plan with something left out

In the safety phase anything in the plan may happen, and nothing may be broken; progress is not asked for.
Then all faults end, what is down comes up, and within bounded virtual time everybody must be answered, every
member must serve, and all must be equal: that is the liveness phase.
"""
from __future__ import annotations

import traceback

from agreed.errors import AgreedError
from agreed.sim.cluster import Cluster
from agreed.sim.draw import draw
from agreed.sim.faults import Faults
from agreed.sim.outcome import Broken, Outcome
from agreed.sim.parts import Parts
from agreed.sim.plan import Plan
from agreed.sim.trace import Trace
from agreed.sim.world import MS

AT_REST_WITHIN_MS = 40_000
"""Of virtual time, once all is mended."""

LOOKED_EVERY_MS = 50

SHIPPED = Parts()


def run(
    seed: int,
    profile: str = "swarm",
    *,
    plan: Plan | None = None,
    parts: Parts = SHIPPED,
    telling: bool = False,
) -> Outcome:
    """Play the plan (by default the one drawn for this seed and profile) with these parts.

    Never raises for what the parts do: whatever they do wrong is the outcome.
    """
    if plan is None:
        plan = draw(seed, profile)
    trace = Trace(telling=telling)
    cluster = Cluster(plan, parts, trace)
    failure: str | None = None
    message = ""
    try:
        _play(cluster)
    except Exception as error:
        failure, message = _told(cluster, error)
        if telling:
            trace.tell(cluster.world.now, "broken", "", f"{failure}: {message}")
    marks = dict(sorted(cluster.world.marks.items()))
    table = [(*cell, times) for cell, times in sorted(cluster.judge.table.items())]
    simulated_ms = cluster.world.now // MS
    if failure is None:
        message = f"{trace.events:,} events in {simulated_ms:,} ms of virtual time, all as it should be"
    outcome = Outcome(
        plan.seed, plan.profile, plan, failure, message, trace.digest(), trace.events, simulated_ms, marks,
        table, cluster.recorder.history(), tuple(trace.lines),
    )  # fmt: skip
    cluster.world.clear()
    return outcome


def _play(cluster: Cluster) -> None:
    faults = Faults(cluster)
    cluster.begin()
    faults.schedule()
    cluster.run(cluster.plan.storm_ms)
    faults.end()
    _come_to_rest(cluster, faults)
    cluster.probe()
    _come_to_rest(cluster, faults)
    cluster.judge.final()


def _come_to_rest(cluster: Cluster, faults: Faults) -> None:
    deadline_ms = cluster.world.now // MS + AT_REST_WITHIN_MS
    while not _at_rest(cluster):
        now_ms = cluster.world.now // MS
        if now_ms >= deadline_ms:
            raise Broken("no rest after the storm", cluster.standing())
        faults.operators.look()
        cluster.run(now_ms + LOOKED_EVERY_MS)


def _at_rest(cluster: Cluster) -> bool:
    """Everybody is answered, somebody leads, and all have applied all that there is."""
    if not all(client.at_rest for client in cluster.clients):
        return False
    leader = cluster.leader()
    if leader is None or leader.replica.members.outgoing:
        return False
    sessions = cluster.judge.sessions
    if cluster.plan.conditions.until_sessions_end and sessions.unheld(leader.replica.store):
        return False
    last = leader.replica.machine.last_index
    return all(node.serving and node.replica.applied == last for node in cluster.members())


def _told(cluster: Cluster, error: Exception) -> tuple[str, str]:
    """What kind of failure this is, and the sentence."""
    if isinstance(error, Broken):
        return error.kind, str(error).removeprefix(f"{error.kind}: ")
    who = cluster.acting.name if cluster.acting is not None else "the world"
    text = str(error)
    if isinstance(error, AssertionError) and ": " in text and type(error) is not AssertionError:
        kind, _, rest = text.partition(": ")
        return kind, rest
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.filename.rpartition('/')[2]}:{where.lineno} {where.name}"
    kind = "refused its own data" if isinstance(error, AgreedError) else f"exception {type(error).__name__}"
    return kind, f"{who}: {text or type(error).__name__} ({place})"
