"""From what is known of a history to a verdict: its graph, its knots, the worst cycles in them.

The plain form of every anomaly is always looked for; the forms with sessions and with real time only where a
model asks for them, and only as far as they rule out a model that is not ruled out already.  A read that
misses an update is not told again as one that misses it in real time.
"""
from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from agreed.check.transactions.anomalies import FORMS, PROCESS, REALTIME
from agreed.check.transactions.cycles import DEPENDENCIES, Edge, Knot
from agreed.check.transactions.findings import Findings
from agreed.check.transactions.graph import Graph, Kind, in_order, knots
from agreed.check.transactions.meter import Meter, OutOfTime
from agreed.check.transactions.micro import APPEND, Transactions
from agreed.check.transactions.models import boundary, impossible
from agreed.check.transactions.options import Options
from agreed.check.transactions.orders import add_process_order, add_realtime_order
from agreed.check.transactions.sentences import dependency_text
from agreed.check.transactions.serial import replays
from agreed.check.transactions.versions import Versions, add_dependencies
from agreed.check.verdict import Dependency, Outcome, Verdict, Witness


def judge(
    write: str,
    options: Options,
    transactions: Transactions,
    orders: Mapping[Hashable, Versions],
    findings: Findings,
    meter: Meter,
) -> Verdict:
    """The verdict on a history of lists (`write` is APPEND) or registers (WRITE), once the orders of
    versions are known and what shows without a cycle is found."""
    sought = options.sought()
    form = REALTIME if _in_form(sought, REALTIME) else PROCESS if _in_form(sought, PROCESS) else ""
    graph = _graph(transactions, orders, form)
    out_of_time = ""
    try:
        _find_cycles(graph, form, transactions, orders, findings, meter)
    except OutOfTime:
        out_of_time = "time: not all circles were looked for"
    judged = f"{options.judged()} ({'lists' if write == APPEND else 'registers'})"
    if findings.names & sought or out_of_time or _is_empty(graph):
        return _refused(judged, sought, findings, out_of_time, meter)
    witnesses = _witness(graph, form, transactions, lists=write == APPEND)
    return Verdict(
        judged, Outcome.HOLDS, _why_it_holds(witnesses, findings), witnesses=witnesses, steps=meter.steps
    )


def _in_form(names: frozenset[str], form: str) -> bool:
    return any(name.endswith(form) for name in names)


def _graph(transactions: Transactions, orders: Mapping[Hashable, Versions], form: str) -> Graph:
    graph = Graph(len(transactions.transactions))
    for versions in orders.values():
        add_dependencies(graph, versions)
    if form:
        add_process_order(graph, transactions.transactions, transactions.present)
    if form == REALTIME:
        add_realtime_order(graph, transactions.transactions, transactions.present)
    return graph


def _is_empty(graph: Graph) -> bool:
    return not any(row for rows in graph.edges.values() for row in rows)


def _find_cycles(
    graph: Graph,
    most: str,
    transactions: Transactions,
    orders: Mapping[Hashable, Versions],
    findings: Findings,
    meter: Meter,
) -> None:
    acknowledged = [transaction.committed for transaction in transactions.transactions]
    adjacency = graph.merged((*DEPENDENCIES[most], Kind.RW))
    meter.spend(sum(map(len, adjacency)))
    parts = [Knot(graph.within(nodes), acknowledged, meter) for nodes in knots(adjacency)]
    for form in FORMS[: FORMS.index(most) + 1]:
        before = impossible(findings.names)

        def adds(name: str, form: str = form, before: frozenset[str] = before) -> bool:
            return not form or not impossible(frozenset((name,))) <= before

        for part in parts:
            for name, edges in part.cycles(form, adds):
                if findings.wants(name):
                    _tell(name, edges, orders, findings)


def _tell(name: str, edges: Sequence[Edge], orders: Mapping[Hashable, Versions], findings: Findings) -> None:
    cast = findings.cast(*(edge.before for edge in edges))
    sentences: list[str] = []
    sides: list[Dependency] = []
    for before, after, kind in edges:
        sentence, key = dependency_text(cast, orders, before, after, kind)
        sentences.append(sentence)
        sides.append(Dependency(cast[before].operation.index, cast[after].operation.index, kind.value, key))
    sentences.append("So each of them comes before the next, and the last before the first.")
    keys = {side.key for side in sides}
    findings.add(name, cast, sentences, key=keys.pop() if len(keys) == 1 else None, cycle=tuple(sides))


def _refused(
    judged: str, sought: frozenset[str], findings: Findings, out_of_time: str, meter: Meter
) -> Verdict:
    """VIOLATED, or UNKNOWN where nothing was found that was asked for, and not all was looked for."""
    told = sorted(findings.names & sought)
    weakest, stronger = boundary(findings.names)
    reasons = []
    if told:
        reasons.append(", ".join(f"{name} ({findings.counts[name]})" for name in told))
    reasons.append(
        out_of_time or ("" if told else "no transaction depends on another, so that nothing could be judged")
    )
    return Verdict(
        judged,
        Outcome.VIOLATED if told else Outcome.UNKNOWN,
        "; ".join(reason for reason in reasons if reason),
        findings=tuple(finding for finding in findings.kept if finding.name in sought),
        ruled_out=weakest,
        also_ruled_out=stronger,
        steps=meter.steps,
    )


def _witness(graph: Graph, form: str, transactions: Transactions, *, lists: bool) -> tuple[Witness, ...]:
    """One order of all transactions in which each reads what those before it wrote, if the graph has an
    order and it does.  (Where versions are only partly ordered, the order may be a wrong guess.)"""
    order = in_order(graph, (*DEPENDENCIES[form], Kind.RW), transactions.present)
    if order is None:
        return ()
    operations = [transactions.transactions[number].operation for number in order]
    if not replays(operations, lists=lists):
        return ()
    return (Witness(None, tuple(operation.index for operation in operations)),)


def _why_it_holds(witnesses: Sequence[Witness], findings: Findings) -> str:
    seen = f"; there is {', '.join(sorted(findings.names))}, which it allows" if findings.names else ""
    if witnesses:
        return "one after the other in the given order, the transactions read what they read" + seen
    return "nothing was found that it forbids" + seen
