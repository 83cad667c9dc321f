"""The stories of Raft; how they are told stands in `story.py`."""

from __future__ import annotations

from pathlib import Path

from agreed.consensus.machine import (
    Entry,
    EntryKind,
    MembersChangeRequested,
    Proposed,
    Received,
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
from tests.consensus import story
from tests.consensus.raft.stage import Stage
from tests.consensus.stage import member
from tests.consensus.story import stories


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


class Play(story.Play):
    def cluster(self, names: tuple[str, ...], knobs: dict[str, int]) -> Stage:
        return Stage(names, RaftConfig(**knobs))  # type: ignore[arg-type]

    def do(self, command: str, *words: str) -> None:
        stage = self.stage
        match command:
            case "join":
                stage.add(words[0], Members(()))
            case "propose":
                stage.turn(words[0], Proposed(words[1].encode(), tuple(words[2:])))
            case "propose-together":
                super().do("propose", *words)
            case "change":
                change = MembersChangeRequested(self.next_ticket(), change_of(*words[1:]))
                stage.turn(words[0], change)
            case "forge":
                stage.turn(words[1], Received(words[0], forged(*words[2:])))
            case _:
                super().do(command, *words)


@stories(__file__)
def test_the_story_goes_as_told(path: Path) -> None:
    assert Play().retold(path) == path.read_text(encoding="utf-8")
