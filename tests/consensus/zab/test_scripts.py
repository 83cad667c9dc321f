"""Stories of a few machines, told in text files: what is done, and below `---` everything that came of it.

With `GOLDEN=rewrite` in the environment the stories are told anew; read the diff.
"""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from agreed.consensus.machine import PeerLost, Proposed, ReadRequested, TransferRequested
from agreed.consensus.zab.config import ZabConfig
from tests.consensus.zab.stage import Stage

SCRIPTS = Path(__file__).parent / "scripts"


class Play:
    """One script on one stage."""

    def __init__(self) -> None:
        self.stage = Stage((), ZabConfig())
        self.ticket = 0

    def do(self, command: str, *words: str) -> None:
        stage = self.stage
        match command:
            case "cluster":
                names = tuple(w for w in words if "=" not in w)
                knobs = {k: int(v) for k, v in (w.split("=") for w in words if "=" in w)}
                self.stage = Stage(names, ZabConfig(**knobs))  # type: ignore[arg-type]
            case "time" | "live":
                getattr(stage, command)(int(words[0]), *words[1:])
            case "propose":
                stage.turn(words[0], *(Proposed(word.encode()) for word in words[1:]))
            case "read":
                self.ticket += 1
                stage.turn(words[0], ReadRequested(self.ticket))
            case "transfer":
                stage.turn(words[0], TransferRequested(words[1] if len(words) > 1 else None))
            case "lost":
                stage.turn(words[0], PeerLost(words[1]))
            case "restart":
                stage.start(words[0])
            case "status":
                self.status()
            case "deliver" | "lose" | "sync" | "stabilize" | "crash" | "snapshot":
                getattr(stage, command)(*words)
            case "pieces":
                stage.move_pieces(*words)
            case _:
                raise ValueError(f"unknown command: {command} {words}")

    def status(self) -> None:
        for name, machine in self.stage.machines.items():
            self.stage.lines.append(
                f"{name} {machine.standing().role} accepted={machine.term} current={machine.settled}"
                f" last={machine.last_index}@{machine.last_term} commit={machine.commit}"
                f" leader={machine.leader}"
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


def test_there_are_stories() -> None:
    assert list(SCRIPTS.glob("*.txt"))
