"""The stage with machines of Multi-Paxos on it, and their words."""

from __future__ import annotations

from agreed.consensus.machine import Effects, Entry, Save, Send
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.multipaxos.invariants import (
    ClusterInvariants,
    View,
    check,
    check_message,
    check_step,
    view,
)
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
from tests.consensus import stage
from tests.consensus.multipaxos.lone import tell as tell_slot
from tests.consensus.stage import OrderedDice, StageDisk, word


class Stage(stage.Stage[MultiPaxos]):
    def __init__(self, names: tuple[str, ...], config: MultiPaxosConfig) -> None:
        self.config = config
        self.cluster = ClusterInvariants()
        super().__init__(names)

    def make(
        self, name: str, disk: StageDisk, entries: list[Entry], dice: OrderedDice, now: int
    ) -> MultiPaxos:
        return MultiPaxos(name, self.members[name], disk.ballot, disk.mark, entries, self.config, dice, now)

    def view(self, machine: MultiPaxos) -> View:
        return view(machine)

    def check(self, machine: MultiPaxos) -> None:
        check(machine)

    def check_turn(self, before: View, machine: MultiPaxos, effects: Effects) -> None:
        check_step(before, machine)
        self.cluster.check(machine)
        self.cluster.agreed(machine, effects.commit)

    def send(self, name: str, send: Send) -> None:
        disk = self.disks[name]
        check_message(self.machines[name], send.message, disk.ballot, disk.log)
        super().send(name, send)

    def role(self, machine: MultiPaxos) -> str:
        return machine.role.name

    def tell_role(self, machine: MultiPaxos) -> str:
        return f"{machine.role.name} ballot={machine.term}"

    def tell_save(self, save: Save) -> str:
        slots = " ".join(tell_slot(entry.index, *from_disk(entry)) for entry in save.entries)
        return f"ballot={save.ballot.term} [{slots}]"

    def tell_message(self, message: object) -> str:
        return tell(message)

    def tell_status(self, machine: MultiPaxos) -> str:
        slots = machine.slots
        held = " ".join(
            tell_slot(i, slots.ballot(i), slots.value(i))
            for i in range(slots.base_index + 1, slots.last_index + 1)
        )
        return (
            f"{machine.role.name} ballot={machine.term} leader={machine.leader}"
            f" commit={machine.commit} [{held}]"
        )


def tell(message: object) -> str:
    match message:
        case Canvass(_, chosen):
            return f"Canvass chosen={chosen}"
        case CanvassReply(_, promised, granted):
            return f"CanvassReply promised={promised} {'yes' if granted else 'no'}"
        case Prepare(ballot, first):
            return f"Prepare {ballot} from slot {first}"
        case Promise(ballot, _, upto, last, chosen, accepted):
            listed = " ".join(tell_slot(a.value.index, a.ballot, a.value) for a in accepted)
            return f"Promise {ballot} [{listed}] chosen={chosen}" + ("" if upto == last else " (more)")
        case Accept(ballot, first, commit, _, entries):
            listed = " ".join(map(word, entries))
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
