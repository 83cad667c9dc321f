"""Jobs of a queue that hands each of them out until somebody acknowledges it.  Pure.

    out of nowhere      a job was handed out that nobody has put
    never worked on     an acknowledgement counts of somebody who was never let in with that job
    lost                a job that was put was never done, though the queue is empty at the end
    after it was done   a job was handed out with a larger token than that under which it was acknowledged
    done twice          two were told that their acknowledgement of it counts
    another was told    what was done in one step with the acknowledgement bears another token than who was
                        told that his counts; or a token whose acknowledgement was refused

Handed out again to somebody else is what is promised where a holder lost it: that nobody has a job while
another is certain of it is judged by `certain_holders`, with each job as a name of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from agreed.check.grants.records import Access, Acknowledgement, Put, Tenure
from agreed.check.grants.tokens import verdict
from agreed.check.history import Status
from agreed.check.verdict import Finding, Verdict


def jobs_done(
    puts: Iterable[Put],
    tenures: Iterable[Tenure],
    acknowledgements: Iterable[Acknowledgement],
    accesses: Iterable[Access],
    effects: Mapping[str, int] | None,
) -> Verdict:
    """The name of a tenure, and of an access, is its job.  `effects`: by job, the token that was written in
    one step with the acknowledgement, as it was read when the queue was empty; None: the end was not reached,
    and nothing can be called lost."""
    put = {each.job: each.status for each in puts}
    granted: dict[str, list[Tenure]] = defaultdict(list)
    for tenure in tenures:
        granted[tenure.name].append(tenure)
    said: dict[str, list[Acknowledgement]] = defaultdict(list)
    for acknowledgement in acknowledgements:
        said[acknowledgement.job].append(acknowledgement)
    worked = {(each.name, each.token) for each in accesses if each.accepted}
    found: list[Finding] = []
    for job, those in granted.items():
        if put.get(job, Status.FAIL) is Status.FAIL:
            found.append(_finding("out of nowhere", job, f"{job} was given to {those[0]}, and nobody put it"))
    for job, answers in said.items():
        found += _acknowledged(job, answers, granted[job])
        for each in answers:
            if each.status is Status.OK and (job, each.token) not in worked:
                sentence = f"{job} was acknowledged by {each.holder}, who has not worked on it"
                found.append(_finding("never worked on", job, sentence))
    if effects is not None:
        for job, status in put.items():
            found += _effect(job, status, said[job], effects.get(job))
    again = sum(1 for those in granted.values() if len(those) > 1)
    counted = sum(1 for status in put.values() if status is Status.OK)
    reason = f"{counted} jobs put for sure, {again} handed out more than once"
    return verdict("every job is done, and none afterwards", found, reason, len(put))


def _finding(name: str, job: str, sentence: str) -> Finding:
    return Finding(name, (), (sentence,), key=job)


def _acknowledged(job: str, answers: list[Acknowledgement], granted: list[Tenure]) -> list[Finding]:
    counts = [each for each in answers if each.status is Status.OK]
    found = []
    if len(counts) > 1:
        both = " and ".join(f"{each.holder} with token {each.token}" for each in counts)
        found.append(_finding("done twice", job, f"{job}: {both} were both told that theirs counts"))
    for each in counts:
        for tenure in granted:
            if tenure.token > each.token:
                sentence = f"{job} was given to {tenure} after {each.holder} had it done with {each.token}"
                found.append(_finding("after it was done", job, sentence))
    return found


def _effect(job: str, status: Status, answers: list[Acknowledgement], token: int | None) -> list[Finding]:
    if token is None:
        if status is Status.OK or any(each.status is Status.OK for each in answers):
            return [_finding("lost", job, f"{job} was put and was never done")]
        return []
    counts = [each.token for each in answers if each.status is Status.OK]
    perhaps = [each.token for each in answers if each.status is Status.INFO]
    if counts and token not in counts:
        sentence = f"{job} was done with token {token}, and who was told so has {counts[0]}"
        return [_finding("another was told", job, sentence)]
    if not counts and token not in perhaps:
        return [_finding("another was told", job, f"{job} was done with token {token}, which was refused")]
    return []
