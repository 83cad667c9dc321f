"""A stage for stories: a few machines, whose messages and saves wait until the director says what becomes of
them."""
from __future__ import annotations

from dataclasses import dataclass, field

from agreed.consensus.machine import (
    Ballot,
    Effects,
    Entry,
    Event,
    Received,
    Save,
    Saved,
    Send,
    TimePassed,
)
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.multipaxos.invariants import ClusterInvariants, check, check_message, check_step, view
from agreed.consensus.multipaxos.messages import (
    Accept,
    Accepted,
    Canvass,
    CanvassReply,
    Nack,
    Prepare,
    Promise,
    ReadIndex,
    ReadIndexReply,
    TimeoutNow,
)
from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from agreed.consensus.multipaxos.slots import from_disk
from tests.consensus.multipaxos.lone import members_of, tell


class OrderedDice:
    """The node with the lower number always draws the lower number."""

    def __init__(self, ordinal: int) -> None:
        self._ordinal = ordinal

    def between(self, low: int, high: int) -> int:
        return min(high, low + (self._ordinal - 1) * 10)


@dataclass
class StageDisk:
    ballot: Ballot = field(default_factory=lambda: Ballot(0, None))
    log: dict[int, Entry] = field(default_factory=dict)


class Stage:
    def __init__(self, names: tuple[str, ...], config: MultiPaxosConfig) -> None:
        self.config, self.members = config, members_of(*names)
        self.clocks = dict.fromkeys(names, 0)
        self.disks = {name: StageDisk() for name in names}
        self.machines: dict[str, MultiPaxos] = {}
        self.post: list[tuple[str, Send]] = []
        self.saves: list[tuple[str, Save]] = []
        self.lines: list[str] = []
        self.cluster = ClusterInvariants()
        for name in names:
            self.start(name)

    def start(self, name: str) -> None:
        disk = self.disks[name]
        log = [disk.log[index] for index in sorted(disk.log)]
        self.machines[name] = MultiPaxos(
            name, self.members, disk.ballot, None, log, self.config,
            OrderedDice(int(name[1:])), self.clocks[name],
        )  # fmt: skip

    def crash(self, name: str) -> None:
        """Memory is gone, and so are the saves that wait."""
        del self.machines[name]
        self.saves = [save for save in self.saves if save[0] != name]

    # --- one turn ---

    def turn(self, name: str, *events: Event) -> None:
        machine = self.machines[name]
        was, before = machine.role.name, view(machine)
        for event in events:
            machine.step(event)
            check(machine)
        effects = machine.take()
        check(machine)
        check_step(before, machine)
        self.cluster.check(machine)
        self.cluster.agreed(machine, effects.commit)
        if machine.role.name != was:
            self.lines.append(f"{name}: {was} ⇨ {machine.role.name} ballot={machine.term}")
        self._perform(name, effects)

    def _perform(self, name: str, effects: Effects) -> None:
        disk = self.disks[name]
        if effects.save is not None:
            save = effects.save
            self.saves.append((name, save))
            slots = " ".join(tell(entry.index, *from_disk(entry)) for entry in save.entries)
            self.lines.append(f"{name} saves #{save.serial} ballot={save.ballot.term} [{slots}]")
        for send in effects.send:
            check_message(self.machines[name], send.message, disk.ballot, disk.log)
            self.post.append((name, send))
            self.lines.append(f"{name} → {send.target} {words(send.message)}")
        for entry in effects.commit:
            content = entry.payload.decode() or "(nothing)"
            self.lines.append(f"{name} agrees {entry.index}@{entry.term} {content}")
        for ready in effects.reads:
            index = "fails" if ready.index is None else f"at {ready.index}"
            self.lines.append(f"{name} read {ready.ticket} {index}")

    # --- what a director may say ---

    def time(self, passed_ms: int, *names: str) -> None:
        """On the clocks of these nodes, or of all that are up."""
        for name in names or tuple(self.machines):
            self.clocks[name] += passed_ms
            self.turn(name, TimePassed(self.clocks[name]))

    def live(self, passed_ms: int, *names: str) -> None:
        """Time passes in small steps for these nodes, and they hear each other; nobody writes it down."""
        kept = self.lines.copy()
        routes = tuple(f"{a}>{b}" for a in names for b in names if a != b) or ("nobody",)
        for _ in range(0, passed_ms, 10):
            self.time(10, *names)
            self.stabilize(*routes)
            self.lose()
        self.lines[:] = kept

    def deliver(self, *routes: str) -> None:
        """All messages that are on their way now; of routes like `n1>n2`, or `n1` for all from and to it."""
        for source, send in self._picked(routes):
            if send.target in self.machines:
                self.turn(send.target, Received(source, send.message))

    def lose(self, *routes: str) -> None:
        self._picked(routes)

    def _picked(self, routes: tuple[str, ...]) -> list[tuple[str, Send]]:
        picked: list[tuple[str, Send]] = []
        left: list[tuple[str, Send]] = []
        for source, send in self.post:
            route = f"{source}>{send.target}"
            wanted = not routes or any(r in (route, source, send.target) for r in routes)
            (picked if wanted else left).append((source, send))
        self.post = left
        return picked

    def sync(self, *names: str) -> None:
        saves = [save for save in self.saves if not names or save[0] in names]
        self.saves = [save for save in self.saves if names and save[0] not in names]
        for name, save in saves:
            disk = self.disks[name]
            disk.ballot = save.ballot
            if save.entries:
                disk.log = {i: e for i, e in disk.log.items() if i < save.entries[0].index}
                disk.log.update((entry.index, entry) for entry in save.entries)
            self.turn(name, Saved(save.serial))

    def stabilize(self, *routes: str) -> None:
        """Until nothing moves; with routes, only messages on these."""
        for _ in range(200):
            kept = self.post
            waiting = self._picked(routes)
            self.post = kept
            if not (self.saves or waiting):
                return
            self.sync()
            self.deliver(*routes)
        raise AssertionError("it never settles")

    def status(self) -> None:
        for name, machine in self.machines.items():
            slots = machine.slots
            held = " ".join(
                tell(i, slots.ballot(i), slots.value(i))
                for i in range(slots.base_index + 1, slots.last_index + 1)
            )
            self.lines.append(
                f"{name} {machine.role.name} ballot={machine.term} leader={machine.leader}"
                f" commit={machine.commit} [{held}]"
            )


def words(message: object) -> str:
    match message:
        case Canvass(_, chosen):
            return f"Canvass chosen={chosen}"
        case CanvassReply(_, promised, granted):
            return f"CanvassReply promised={promised} {'yes' if granted else 'no'}"
        case Prepare(ballot, first):
            return f"Prepare {ballot} from slot {first}"
        case Promise(ballot, _, upto, last, chosen, accepted):
            listed = " ".join(tell(a.value.index, a.ballot, a.value) for a in accepted)
            return f"Promise {ballot} [{listed}] chosen={chosen}" + ("" if upto == last else " (more)")
        case Accept(ballot, first, commit, _, entries):
            listed = " ".join(f"{entry.index}@{entry.term}" for entry in entries)
            return f"Accept {ballot} from slot {first} [{listed}] commit={commit}"
        case Accepted(ballot, _, upto, _, hole):
            return f"Accepted {ballot} upto={upto}" + (" (something is missing)" if hole else "")
        case Nack(ballot):
            return f"Nack {ballot}"
        case TimeoutNow(ballot):
            return f"TimeoutNow {ballot}"
        case ReadIndex():
            return "ReadIndex"
        case ReadIndexReply(_, index):
            return f"ReadIndexReply {index}"
    raise AssertionError(f"no word for {message}")
