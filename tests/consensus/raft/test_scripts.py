"""Stories in plain text: commands, a line `---`, and what the machines then did.

    GOLDEN=rewrite pytest tests/consensus/raft/test_scripts.py

rewrites what is expected; read the diff before you commit it.  A story's file name is its sentence.  What
happens in the first block is not told: it sets the scene.  """
from __future__ import annotations

import os
from pathlib import Path

import pytest

from agreed.consensus.machine import (
    Entry,
    EntryKind,
    MembersChangeRequested,
    PeerLost,
    Proposed,
    ReadRequested,
    Received,
    TransferRequested,
)
from agreed.consensus.members import (
    AddLearner,
    Members,
    MembersChange,
    Promote,
    Remove,
    Replace,
    SetVoters,
)
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.messages import AppendEntries, AppendEntriesReply
from tests.consensus.raft.stage import Stage, member, tell_members

SCRIPTS = Path(__file__).parent / "scripts"


def change_of(kind: str, *names: str) -> MembersChange:
    match kind:
        case "add-learner":
            return AddLearner(member(names[0]))
        case "promote":
            return Promote(names[0])
        case "remove":
            return Remove(names[0])
        case "replace":
            return Replace(member(names[0], identity=int(names[1])))
        case "set-voters":
            return SetVoters(tuple(member(name) for name in names))
    raise ValueError(f"unknown change: {kind}")


def forged(kind: str, *words: str) -> object:
    """A message that no correct node would send."""
    match kind, words:
        case "append", (term, prev, prev_term, commit, *listed):
            pairs = [tuple(map(int, text.split("@"))) for text in listed]
            entries = [Entry(index, of_term, EntryKind.PAYLOAD, b"forged") for index, of_term in pairs]
            return AppendEntries(int(term), int(prev), int(prev_term), int(commit), 1, entries)
        case "matched", (term, matched):
            return AppendEntriesReply(int(term), 1, int(matched))
    raise ValueError(f"cannot forge {kind} {words}")


class Play:
    """One script on one stage."""

    def __init__(self) -> None:
        self.stage = Stage((), RaftConfig())
        self.ticket = 0

    def do(self, command: str, *words: str) -> None:
        stage = self.stage
        match command:
            case "cluster":
                names = tuple(w for w in words if "=" not in w)
                knobs = {k: int(v) for k, v in (w.split("=") for w in words if "=" in w)}
                self.stage = Stage(names, RaftConfig(**knobs))  # type: ignore[arg-type]
            case "join":
                stage.add(words[0], Members(()))
            case "time" | "live":
                getattr(stage, command)(int(words[0]), *words[1:])
            case "propose":
                stage.turn(words[0], Proposed(words[1].encode(), tuple(words[2:])))
            case "propose-together":
                stage.turn(words[0], *(Proposed(w.encode()) for w in words[1:]))
            case "read":
                self.ticket += 1
                stage.turn(words[0], ReadRequested(self.ticket))
            case "change":
                self.ticket += 1
                stage.turn(words[0], MembersChangeRequested(self.ticket, change_of(*words[1:])))
            case "transfer":
                stage.turn(words[0], TransferRequested(words[1] if len(words) > 1 else None))
            case "lost":
                stage.turn(words[0], PeerLost(words[1]))
            case "restart":
                stage.start(words[0])
            case "status":
                self.status()
            case "forge":
                stage.turn(words[1], Received(words[0], forged(*words[2:])))
            case "deliver" | "lose" | "sync" | "stabilize" | "crash" | "snapshot":
                getattr(stage, command)(*words)
            case "pieces":
                stage.move_pieces(*words)
            case _:
                raise ValueError(f"unknown command: {command} {words}")

    def status(self) -> None:
        for name, machine in self.stage.machines.items():
            self.stage.lines.append(
                f"{name} {machine.role.name} term={machine.term} last={machine.log.last_index}"
                f" commit={machine.commit} leader={machine.leader} {tell_members(machine.members)}"
            )


def play(text: str) -> str:
    performance, told = Play(), []
    for number, block in enumerate(text.strip().split("\n\n")):
        asked = block.split("\n---")[0]
        performance.stage.lines = []
        for line in asked.splitlines():
            if not line.startswith("#"):
                performance.do(*line.split())
        told.append("\n".join([asked, "---", *performance.stage.lines]) if number else asked)
    return "\n\n".join(told) + "\n"


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.txt")), ids=lambda path: path.stem)
def test_the_story_goes_as_told(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    told = play(text)
    if os.environ.get("GOLDEN") == "rewrite":
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8")
