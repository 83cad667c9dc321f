"""Makes a script that shows a difference as short as it can, by leaving things out and trying again.

First whole steps (halves, quarters, ..., single ones), then what single steps can do without, until nothing
more can go.  `fails` plays a script and says whether it still shows a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from tests.differential.script import AScript, S


def shrink(script: AScript, fails: Callable[[AScript], bool], *, attempts: int = 400) -> AScript:
    """The shortest script found within `attempts` plays."""
    left = attempts
    improved = True
    while improved and left > 0:
        improved = False
        for steps in candidates(script.steps):
            left -= 1
            if left <= 0:
                break
            shorter = msgspec.structs.replace(script, steps=steps)
            if fails(shorter):
                script, improved = shorter, True
                break
    return script


def candidates(steps: tuple[S, ...]) -> Iterator[tuple[S, ...]]:
    yield from without_runs(steps)
    for number, step in enumerate(steps):
        for smaller in step.smaller():
            yield (*steps[:number], smaller, *steps[number + 1 :])


def without_runs(steps: tuple[S, ...]) -> Iterator[tuple[S, ...]]:
    size = len(steps) // 2
    while size:
        # later steps first: what comes after the difference goes at once
        for start in range(len(steps) - size, -1, -size):
            yield (*steps[:start], *steps[start + size :])
        size //= 2
