"""What of a history and its verdict is drawn, as plain data; where it comes to stand is the page's affair.

Three decisions are made here:

* **Where an operation took effect.**  An order that explains a history says in which order, not when.  Each
  operation is given the middle of the time that is left to it: not before its own call and the calls of those
  ahead of it, not after its own return and the returns of those behind it.  Orders that do not follow real
  time (sequential consistency asks for none) are drawn in the middle of each operation.
* **Where an explanation gets stuck.**  At the culprit, where the finding names one.  Else a longest partial
  order ends because none of the operations that might come next fits: those that were called before the
  first of the rest had returned.
* **What is left out.**  A page of a million bars helps nobody.  Beyond `most` operations, those nearest to
  the first finding stay, and the page says how many there were.

Operations are named by their position among those drawn, times count from the first of them: a browser's
numbers are exact only up to 2**53, and nanoseconds since 1970 are beyond that.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from agreed.check.explain import words
from agreed.check.history import History, Operation, Process, Status
from agreed.check.verdict import Finding, Outcome, Verdict, Witness

EXPLAINS = "an order that explains it"

MOST_OPERATIONS = 10_000
MOST_FINDINGS = 60
MOST_ATTEMPTS = 8
MOST_TABS = 300


class DrawnOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One bar.  `returned` is None where nobody knows: the bar is open to the right."""

    index: int
    lane: int
    label: str
    function: str
    called: int
    status: str
    returned: int | None = None
    argument: str = ""
    result: str = ""
    key: str = ""
    revision: int | None = None
    error: str = ""


class DrawnFault(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    began: int
    ended: int
    detail: str = ""
    goes_on: bool = False


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """Operations in an order, each with the moment at which it is drawn and, where known, the state after."""

    name: str
    operations: Sequence[int]
    at: Sequence[int]
    states: Sequence[str] = ()
    stuck: Sequence[int] = ()
    """Those of which one would have to be next, and none can."""
    real_time: bool = True


class Arrow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One side of a circle: why one operation comes before another.  `step`: which sentence says so."""

    source: int
    target: int
    kind: str
    step: int | None = None


class DrawnFinding(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    tab: int
    operations: Sequence[int]
    steps: Sequence[str]
    orders: Sequence[Order] = ()
    arrows: Sequence[Arrow] = ()
    names: Mapping[int, str] = {}
    """What the sentences call some of the operations."""


class Tab(msgspec.Struct, frozen=True, omit_defaults=True):
    """The operations of one independent object, or all of them."""

    name: str
    outcome: str
    operations: Sequence[int]
    orders: Sequence[Order] = ()


class Drawing(msgspec.Struct, frozen=True):
    title: str
    judged: str
    outcome: str
    reason: str
    ruled_out: Sequence[str]
    also_ruled_out: Sequence[str]
    steps: int
    began: int
    """The clock's reading at time 0 of the page."""
    span: int
    lanes: Sequence[str]
    operations: Sequence[DrawnOperation]
    faults: Sequence[DrawnFault]
    tabs: Sequence[Tab]
    findings: Sequence[DrawnFinding]
    operations_in_all: int
    findings_in_all: int


def draw(history: History, verdict: Verdict, title: str = "", most: int = MOST_OPERATIONS) -> Drawing:
    """At most `most` operations of `history`, and what `verdict` says of them."""
    return _Easel(history, verdict, most).drawing(title)


def _chosen(operations: Sequence[Operation], findings: Sequence[Finding], most: int) -> list[Operation]:
    if len(operations) <= most:
        return list(operations)
    shown = {index for finding in findings for index in finding.operations}
    first = {index for finding in findings[:1] for index in finding.operations}
    centre = next((place for place, each in enumerate(operations) if each.index in first), 0)
    nearest = sorted(
        range(len(operations)), key=lambda place: (operations[place].index not in shown, abs(place - centre))
    )
    return [operations[place] for place in sorted(nearest[:most])]


class _Easel:
    """What every part of one drawing needs: the operations that are drawn, their places, and the time of the
    first."""

    def __init__(self, history: History, verdict: Verdict, most: int) -> None:
        self.history = history
        self.verdict = verdict
        self.findings = verdict.findings[:MOST_FINDINGS]
        self.chosen = _chosen(history.operations, self.findings, most)
        self.place = {each.index: place for place, each in enumerate(self.chosen)}
        self.began = min((each.called for each in self.chosen), default=0)
        keys = {each.key for each in self.chosen} - {None}
        self.apart = any(witness.key is not None for witness in verdict.witnesses) or any(
            finding.key in keys for finding in self.findings
        )
        """Whether each object was judged by itself.  (A finding may also name the key that it is about.)"""
        self.last = max(
            (each.called if each.returned is None else each.returned for each in self.chosen), default=0
        )

    def drawing(self, title: str) -> Drawing:
        verdict = self.verdict
        processes = sorted({each.process for each in self.chosen}, key=_in_order_of_names)
        lanes = {process: number for number, process in enumerate(processes)}
        tabs = self._tabs()
        named = {tab.name: number for number, tab in enumerate(tabs)}
        return Drawing(
            title=title,
            judged=verdict.judged,
            outcome=verdict.outcome.value,
            reason=verdict.reason,
            ruled_out=verdict.ruled_out,
            also_ruled_out=verdict.also_ruled_out,
            steps=verdict.steps,
            began=self.began,
            span=self.last - self.began,
            lanes=[words.client(process) for process in processes],
            operations=[self._operation(each, lanes[each.process]) for each in self.chosen],
            faults=self._faults(),
            tabs=tabs,
            findings=[
                self._finding(each, named.get(words.name(each.key), 0), tabs) for each in self.findings
            ],
            operations_in_all=len(self.history),
            findings_in_all=len(verdict.findings),
        )

    def _operation(self, each: Operation, lane: int) -> DrawnOperation:
        return DrawnOperation(
            index=each.index,
            lane=lane,
            label=words.operation(each, 90, with_key=not self.apart),
            function=each.function,
            called=each.called - self.began,
            status=each.status.value,
            returned=None if each.returned is None else each.returned - self.began,
            argument="" if each.argument is None else words.value(each.argument),
            result=words.answer(each),
            key=words.name(each.key),
            revision=each.revision,
            error=each.error or "",
        )

    def _faults(self) -> list[DrawnFault]:
        """Those that were there while something of the drawn history was."""
        drawn = []
        for fault in self.history.faults:
            ended = self.last if fault.ended is None else fault.ended
            if ended >= self.began and fault.began <= self.last:
                drawn.append(
                    DrawnFault(
                        name=fault.name,
                        began=max(fault.began, self.began) - self.began,
                        ended=min(max(ended, fault.began), self.last) - self.began,
                        detail=fault.detail,
                        goes_on=fault.ended is None,
                    )
                )
        return drawn

    def _tabs(self) -> list[Tab]:
        """One for each object that was judged by itself, the violated first; or one for everything."""
        witnesses = self.verdict.witnesses
        if not self.apart:
            many = len(witnesses) > 1
            orders = [
                self._order(each, f"order {number} of {len(witnesses)}" if many else EXPLAINS)
                for number, each in enumerate(witnesses, start=1)
            ]
            return [Tab("", self.verdict.outcome.value, list(range(len(self.chosen))), orders)]
        members = self._members()
        violated = {words.name(finding.key) for finding in self.findings}
        explained = {words.name(witness.key): witness for witness in witnesses}
        tabs = []
        for key, places in members.items():
            outcome = Outcome.UNKNOWN
            orders = []
            if key in violated:
                outcome = Outcome.VIOLATED
            elif key in explained:
                outcome = Outcome.HOLDS
                orders.append(self._order(explained[key], EXPLAINS))
            tabs.append(Tab(key, outcome.value, places, orders))
        tabs.sort(key=lambda tab: tab.outcome != Outcome.VIOLATED.value)
        return tabs[:MOST_TABS]

    def _members(self) -> dict[str, list[int]]:
        """The places of the operations of each object.  A model may have made objects smaller than the keys
        (each element of a set): then those are meant that were judged together."""
        members: dict[str, list[int]] = {}
        for place, each in enumerate(self.chosen):
            members.setdefault(words.name(each.key), []).append(place)
        pieces: list[tuple[object, Sequence[int]]] = []
        for witness in self.verdict.witnesses:
            pieces.append((witness.key, witness.order))
        for finding in self.findings:
            tried = [index for attempt in finding.attempts for index in attempt.order]
            pieces.append((finding.key, [*finding.operations, *tried]))
        known = set(members)
        for key, indices in pieces:
            if words.name(key) not in known:
                places = {self.place[index] for index in indices if index in self.place}
                members[words.name(key)] = sorted(places)
        if not known & {words.name(key) for key, _ in pieces}:
            for name in known:
                del members[name]
        return members

    def _order(self, witness: Witness, name: str, of: Sequence[int] = ()) -> Order:
        """`of`: the places of all that this order tries to explain; where it is stuck is found among them."""
        kept = [number for number, index in enumerate(witness.order) if index in self.place]
        places = [self.place[witness.order[number]] for number in kept]
        moments, real_time = moments_of([self.chosen[place] for place in places])
        states: list[str] = []
        if witness.states:
            said = dict(enumerate(witness.states))
            states = [said.get(number, "") for number in kept]
        done = set(places)
        return Order(
            name=name,
            operations=places,
            at=[moment - self.began for moment in moments],
            states=states,
            stuck=stuck([(place, self.chosen[place]) for place in of if place not in done]),
            real_time=real_time,
        )

    def _finding(self, finding: Finding, tab: int, tabs: Sequence[Tab]) -> DrawnFinding:
        piece = [self.place[index] for index in finding.operations if index in self.place]
        orders = []
        for number, attempt in enumerate(finding.attempts[:MOST_ATTEMPTS], start=1):
            tried = {self.place[index] for index in attempt.order if index in self.place}
            of = piece if tried <= set(piece) else tabs[tab].operations
            if finding.culprit in self.place:
                of = [self.place[finding.culprit]]
            orders.append(self._order(attempt, f"attempt {number}", of))
        return DrawnFinding(
            name=finding.name,
            tab=tab,
            operations=piece,
            steps=finding.steps,
            orders=orders,
            arrows=self._arrows(finding),
            names={
                self.place[int(said[2])]: said[1]
                for said in map(_INTRODUCTION.match, finding.steps)
                if said and int(said[2]) in self.place
            },
        )

    def _arrows(self, finding: Finding) -> list[Arrow]:
        """Each sentence that says what comes before what is about the next side, if there are as many."""
        sentences: Sequence[int | None] = [
            number for number, step in enumerate(finding.steps) if _PRECEDENCE.search(step)
        ]
        if len(sentences) != len(finding.cycle):
            sentences = [None] * len(finding.cycle)
        return [
            Arrow(
                source=self.place[side.before],
                target=self.place[side.after],
                kind=f"{side.kind} {words.name(side.key)}".rstrip(),
                step=sentence,
            )
            for side, sentence in zip(finding.cycle, sentences, strict=True)
            if side.before in self.place and side.after in self.place
        ]


_INTRODUCTION = re.compile(r"(T\d+) is operation (\d+)\b")
_PRECEDENCE = re.compile(r"^T\d+ comes before\b|\bis before\b")


def _in_order_of_names(process: Process) -> tuple[bool, int, str]:
    return (isinstance(process, str), process if isinstance(process, int) else 0, str(process))


def moments_of(operations: Sequence[Operation]) -> tuple[list[int], bool]:
    """When each of these, in this order, is drawn as taking effect; whether the order follows real time."""
    latest: list[int | None] = []
    bound: int | None = None
    for each in reversed(operations):
        if each.returned is not None:
            bound = each.returned if bound is None else min(bound, each.returned)
        latest.append(bound)
    latest.reverse()
    moments: list[int] = []
    earliest = operations[0].called if operations else 0
    for each, until in zip(operations, latest, strict=True):
        earliest = max(earliest, each.called)
        if until is None:
            # Nothing after it was answered: as soon as may be, for there is no end to be in the middle of.
            moments.append(max(earliest, moments[-1]) if moments else earliest)
        elif until < earliest:
            return [_middle(one) for one in operations], False
        else:
            moments.append((earliest + until) // 2)
    return moments, True


def _middle(each: Operation) -> int:
    return each.called if each.returned is None else (each.called + each.returned) // 2


def stuck(remaining: Sequence[tuple[int, Operation]]) -> list[int]:
    """Of operations that are not yet explained: the places of those of which one would have to be next."""
    certain = [(place, each) for place, each in remaining if each.status is Status.OK]
    first_return = min((each.returned for _, each in certain if each.returned is not None), default=None)
    if first_return is None:
        return []
    return [place for place, each in certain if each.called <= first_return]
