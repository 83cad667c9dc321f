"""Stories of a few machines in plain text: commands, a line `---`, and what the machines then did.

    GOLDEN=rewrite pytest tests/consensus/raft/test_scripts.py

rewrites what is expected; read the diff before you commit it.  A story's file name is its sentence.  What
happens in the first block is not told: it sets the scene.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pytest

from agreed.consensus.machine import PeerLost, Proposed, ReadRequested, TransferRequested
from tests.consensus.stage import Stage


def stories(test_file: str) -> pytest.MarkDecorator:
    """A test of each story in `scripts/` beside this file, as `path`."""
    paths = sorted((Path(test_file).parent / "scripts").glob("*.txt"))
    assert paths, "there are no stories"
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


class Play(ABC):
    """One story on one stage."""

    def __init__(self) -> None:
        self.stage = self.cluster((), {})
        self.ticket = 0

    @abstractmethod
    def cluster(self, names: tuple[str, ...], knobs: dict[str, int]) -> Stage[Any]:
        """A new stage for these nodes."""

    def retold(self, path: Path) -> str:
        """The story as it goes today."""
        told = self._tell(path.read_text(encoding="utf-8"))
        if os.environ.get("GOLDEN") == "rewrite":
            path.write_text(told, encoding="utf-8")
        return told

    def _tell(self, text: str) -> str:
        told = []
        for number, block in enumerate(text.strip().split("\n\n")):
            asked = block.split("\n---")[0]
            self.stage.lines = []
            for line in asked.splitlines():
                if not line.startswith("#"):
                    self.do(*line.split())
            told.append("\n".join([asked, "---", *self.stage.lines]) if number else asked)
        return "\n\n".join(told) + "\n"

    def do(self, command: str, *words: str) -> None:
        stage = self.stage
        match command:
            case "cluster":
                knobs = {k: int(v) for k, v in (w.split("=") for w in words if "=" in w)}
                self.stage = self.cluster(tuple(w for w in words if "=" not in w), knobs)
            case "time" | "live":
                getattr(stage, command)(int(words[0]), *words[1:])
            case "propose":
                stage.turn(words[0], *(Proposed(word.encode()) for word in words[1:]))
            case "read":
                stage.turn(words[0], ReadRequested(self.next_ticket()))
            case "transfer":
                stage.turn(words[0], TransferRequested(words[1] if len(words) > 1 else None))
            case "lost":
                stage.turn(words[0], PeerLost(words[1]))
            case "restart":
                stage.start(words[0])
            case "deliver" | "lose" | "sync" | "stabilize" | "crash" | "snapshot" | "status":
                getattr(stage, command)(*words)
            case "pieces":
                stage.move_pieces(*words)
            case _:
                raise ValueError(f"unknown command: {command} {words}")

    def next_ticket(self) -> int:
        self.ticket += 1
        return self.ticket
