"""Hands the histories of a run to the judge of histories, object by object."""
from __future__ import annotations

import msgspec

from agreed.check.history import Operation, history
from agreed.check.linearizable import linearizable
from agreed.check.models import MODELS
from agreed.check.verdict import Budget
from agreed.check.verdict import Outcome as Answer
from agreed.sim.history import Recorder
from agreed.sim.outcome import Broken
from agreed.sim.world import World

STATES_MOST = 60_000
"""A history that needs more is passed over, and marked."""


def judge(recorder: Recorder, world: World) -> None:
    """Raises `Broken` for a history that cannot be."""
    by_model: dict[str, list[Operation]] = {}
    for operation in recorder.history():
        assert isinstance(operation.key, tuple)
        model, name = operation.key
        by_model.setdefault(model, []).append(msgspec.structs.replace(operation, key=name))
    for model, operations in sorted(by_model.items()):
        verdict = linearizable(history(operations), MODELS[model](None), Budget(states=STATES_MOST))
        if verdict.outcome is Answer.UNKNOWN:
            world.mark("history too hard to judge")
        elif verdict.outcome is Answer.VIOLATED:
            finding = verdict.findings[0]
            story = "; ".join(finding.steps)
            raise Broken(f"not linearizable: {model}", f"{finding.key}: {story}")
