"""An exploration in words: one line for each step of a counterexample, and what was explored.

    7. n1 to n2: AppendEntries term=1 prev_index=0 prev_term=0 commit=0 round=1 entries=[1/1]
         n2: follower of n1, term 1, log [1/1] of which 0 saved, commit 0

An entry is told as index/term, with its payload where it has one.
"""
from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agreed.consensus.machine import Entry, EntryKind
from agreed.sim.explore_node import (
    Action,
    Change,
    Compact,
    Crash,
    Deliver,
    Disconnect,
    DiskDone,
    Install,
    Node,
    Propose,
    Read,
    Restart,
    Tick,
    Transfer,
)
from agreed.sim.explore_scope import Report, Scope, Step

ALWAYS_TOLD = ("nodes", "terms", "operations", "crashes", "messages")
"""Of a scope; of the rest, what is not as usual."""


class Summary(msgspec.Struct, frozen=True):
    """A report for programs: its steps are in words."""

    scope: Scope
    states: int
    transitions: int
    node_states: int
    steps_of_machines: int
    depth: int
    widest: int
    seconds: float
    states_per_second: float
    complete: bool
    broken: str | None
    steps: tuple[str, ...]


def summary(report: Report) -> Summary:
    known = {name: getattr(report, name) for name in Summary.__struct_fields__ if hasattr(report, name)}
    known["states_per_second"] = _rate(report)
    known["steps"] = tuple(f"{happened(step)}; {standing(step.after)}" for step in report.steps)
    return Summary(**known)


def _rate(report: Report) -> float:
    return report.states / report.seconds if report.seconds else 0.0


def told(report: Report) -> Iterator[str]:
    """All that an exploration has to say, line by line."""
    scope = report.scope
    kept = [
        f"{name.replace('_', ' ')} {getattr(scope, name)}"
        for name in scope.__struct_fields__
        if name in ALWAYS_TOLD or getattr(scope, name) != getattr(Scope(), name)
    ]
    yield f"scope: {', '.join(kept)}"
    yield (
        f"{report.states:,} states of the cluster, {report.transitions:,} transitions, depth {report.depth}, "
        f"{report.node_states:,} states of nodes, {report.steps_of_machines:,} steps of machines"
    )
    yield f"{report.seconds:.1f} s, {_rate(report):,.0f} states a second"
    if report.broken is not None:
        yield f"broken: {report.broken}"
        yield f"a shortest way there, in {len(report.steps)} steps:"
        for number, step in enumerate(report.steps, 1):
            yield f"{number:>3}. {happened(step)}"
            yield f"       {standing(step.after)}"
    elif report.complete:
        yield "all of the scope was explored, and nothing is broken"
    else:
        yield f"nothing is broken so far; the time was over before the end, at depth {report.depth}"


def happened(step: Step) -> str:
    """What happened, in a line."""
    action = step.action
    if isinstance(action, Deliver):
        kept = " (and it stays in flight)" if step.kept else ""
        return f"{action.source} to {step.node}: {_message(action.message)}{kept}"
    return f"{step.node}: {_own(action)}"


def _own(action: Action) -> str:
    match action:
        case Tick():
            return "its timer fires"
        case DiskDone():
            return "its oldest save is durable"
        case Install():
            return "the snapshot it received is durable"
        case Crash(saves_done, snapshot_done):
            also = ", and the snapshot" if snapshot_done else ""
            return f"crashes; {saves_done} of the saves under way had reached the disk{also}"
        case Restart():
            return "starts again"
        case Propose(payload):
            return f"a client proposes {payload.decode()}"
        case Read(ticket):
            return f"a client asks for read {ticket}"
        case Compact():
            return "its snapshot of what is agreed is durable, the log before it goes"
        case Change(change):
            return f"an operator asks for {change}"
        case Transfer(target):
            return f"is told to hand over to {target}"
        case Disconnect(peer):
            return f"its connection to {peer} breaks"
        case _:
            return str(action)


def _message(message: object) -> str:
    assert isinstance(message, msgspec.Struct)
    parts = [type(message).__name__]
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if value is True:
            parts.append(name)
        elif name == "entries":
            parts.append(f"entries={_entries(value)}")
        elif value is not False:
            parts.append(f"{name}={value}")
    return " ".join(parts)


def standing(node: Node) -> str:
    """How a node stands, in a line."""
    raft = node.raft
    if raft is None:
        ballot = node.disk.ballot
        held = f"term {ballot.term}, vote {ballot.vote}, log {_entries(node.disk.log)}"
        return f"{node.name}: down; on its disk: {held}"
    whom = f" of {raft.leader}" if raft.leader is not None and not raft.leads else ""
    log = raft.log.between(raft.log.base_index + 1, raft.log.last_index)
    base = f" after a snapshot up to {raft.log.base_index}" if raft.log.base_index else ""
    return (
        f"{node.name}: {raft.role.name}{whom}, term {raft.term}, vote {raft.vote}, log {_entries(log)}{base}"
        f", saved up to {raft.saved}, commit {raft.commit}"
    )


def _entries(entries: list[Entry] | tuple[Entry, ...]) -> str:
    return f"[{' '.join(map(_entry, entries))}]"


def _entry(entry: Entry) -> str:
    name = f"{entry.index}/{entry.term}"
    if entry.kind is EntryKind.PAYLOAD:
        return f"{name}:{entry.payload.decode()}"
    return f"{name}:members" if entry.kind is EntryKind.MEMBERS else name
