"""What is left of a run: lines for people, and files for judges.

    register-linearizable.jsonl     what was judged, by promise; `agreed check` reads it
    watch-persistent.records.jsonl  what reached those who watched and what was written, one record per line
    register-linearizable.html      the same drawn, where it does not hold (or wherever, if all is asked for)
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agreed.check.explain import html, plain
from agreed.check.history import Status
from agreed.check.read import jsonlines, watchlines
from agreed.check.verdict import Outcome
from agreed.torture.run import Judged, Report
from agreed.torture.workloads.judgement import Judgement

MOST_PROBLEM_LINES = 20


@dataclass
class Tally:
    """Several runs together: each with a cluster and a seed of its own, and judged by itself."""

    runs: int = 0
    seconds: float = 0.0
    operations: Counter[Status] = field(default_factory=Counter)
    played: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[Outcome] = field(default_factory=Counter)
    violated: bool = False
    holds: bool = True

    def add(self, seconds: float, report: Report) -> None:
        """One more, of so many seconds of work."""
        self.runs += 1
        self.seconds += seconds
        for judged in report.workloads.values():
            self.operations.update(each.status for each in judged.history)
        self.played += report.played
        self.verdicts.update(verdict.outcome for verdict in report.verdicts)
        self.violated = self.violated or report.violated
        self.holds = self.holds and report.holds

    def lines(self) -> Iterator[str]:
        done, refused, unknown = (self.operations[each] for each in (Status.OK, Status.FAIL, Status.INFO))
        yield (
            f"{self.runs} runs, {self.seconds / 60:.1f} minutes of work,"
            f" {self.operations.total()} operations:"
            f" {done} done, {refused} refused, {unknown} without an answer"
        )
        yield f"faults: {self.played.total()}: {_of_each_kind(self.played)}"
        outcomes = ", ".join(f"{self.verdicts[outcome]} {outcome.value}" for outcome in Outcome)
        yield f"verdicts: {self.verdicts.total()}: {outcomes}"


def lines(report: Report) -> Iterator[str]:
    """The whole of it in short, and every violation in the words of its judge."""
    yield f"faults: {_of_each_kind(report.played)}"
    if report.compared:
        yield (
            f"after everything was healed all nodes served within {report.healed_s:.1f} s;"
            f" they were compared in {report.compared} paths"
        )
    for name, judged in report.workloads.items():
        yield f"{name}: {_counted(judged)}"
        for each in judged.judgements:
            yield f"    {_sentence(each)}"
    for problem in report.problems:
        yield "problem: " + "\n    ".join(problem.splitlines()[:MOST_PROBLEM_LINES])
    for judged in report.workloads.values():
        for each in judged.judgements:
            if each.verdict.findings:
                yield _in_words(each) if each.records else plain.text(each.history, each.verdict)
    yield _in_one_word(report)


def _of_each_kind(played: Counter[str]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(played.items())) or "none"


def _counted(judged: Judged) -> str:
    ok, failed, unknown = (judged.count(status) for status in (Status.OK, Status.FAIL, Status.INFO))
    return f"{len(judged.history)} operations, {ok} done, {failed} refused, {unknown} without an answer"


def _sentence(judgement: Judgement) -> str:
    verdict = judgement.verdict
    why = f" ({verdict.reason})" if verdict.reason else ""
    return f"{verdict.judged}: {verdict.outcome.value}{why}"


def _in_words(judgement: Judgement) -> str:
    """What is found of watches is about what reached the watchers, and no operation of the history."""
    found = [f"{finding.name}\n    " + "\n    ".join(finding.steps) for finding in judgement.verdict.findings]
    return "\n".join([f"{judgement.verdict.judged}: {judgement.verdict.outcome.value}", *found])


def _in_one_word(report: Report) -> str:
    total = sum(len(judged.history) for judged in report.workloads.values())
    if report.violated:
        return f"VIOLATED, in {total} operations"
    if not report.holds:
        return f"UNKNOWN: nothing is wrong in {total} operations, as far as could be judged"
    return f"everything holds, in {total} operations"


def save(report: Report, directory: Path, draw_all: bool) -> None:
    """The files above."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, judged in report.workloads.items():
        for each in judged.judgements:
            stem = f"{name}-{each.name}"
            (directory / f"{stem}.jsonl").write_text(jsonlines.write(each.history), encoding="utf-8")
            if each.records:
                told = watchlines.write(each.records, each.written)
                (directory / f"{stem}.records.jsonl").write_text(told, encoding="utf-8")
            if not each.records and (draw_all or each.verdict.findings):
                page = html.page(each.history, each.verdict)
                (directory / f"{stem}.html").write_text(page, encoding="utf-8")
