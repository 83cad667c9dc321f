"""Makes a script that shows a difference as short as it can, by leaving things out and trying again.

First whole steps (halves, quarters, ..., single ones), then single requests, then single operations of a
multi, until nothing more can go.  `fails` plays a script and says whether it still shows a difference.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from tests.acceptance.requests import AnyRequest, Multi
from tests.differential.script import Script, Send, Step


def shrink(script: Script, fails: Callable[[Script], bool], *, attempts: int = 400) -> Script:
    """The shortest script found within `attempts` plays."""
    left = attempts
    improved = True
    while improved and left > 0:
        improved = False
        for candidate in candidates(script.steps):
            left -= 1
            if left <= 0:
                break
            shorter = Script(script.seed, candidate)
            if fails(shorter):
                script, improved = shorter, True
                break
    return script


def candidates(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    yield from without_runs(steps)
    for number, step in enumerate(steps):
        if isinstance(step, Send):
            for smaller in smaller_sends(step):
                yield (*steps[:number], smaller, *steps[number + 1 :])


def without_runs(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    size = len(steps) // 2
    while size:
        # later steps first: what comes after the difference goes at once
        for start in range(len(steps) - size, -1, -size):
            yield (*steps[:start], *steps[start + size :])
        size //= 2


def smaller_sends(step: Send) -> Iterator[Send]:
    requests = step.requests
    if len(requests) > 1:
        for number in range(len(requests) - 1, -1, -1):
            yield Send(step.client, (*requests[:number], *requests[number + 1 :]))
    for number, request in enumerate(requests):
        for smaller in smaller_requests(request):
            yield Send(step.client, (*requests[:number], smaller, *requests[number + 1 :]))


def smaller_requests(request: AnyRequest) -> Iterator[AnyRequest]:
    if isinstance(request, Multi):
        for number in range(len(request.operations) - 1, -1, -1):
            fewer = (*request.operations[:number], *request.operations[number + 1 :])
            yield msgspec.structs.replace(request, operations=fewer)
