"""Draws the stories of `agreed.sim.stories` into docs/diagrams, one picture for each protocol.

    .venv/bin/python tools/draw_stories.py

A test compares what is there with what the code draws today.
"""
from __future__ import annotations

from pathlib import Path

from agreed.sim.stories.drawing import svg
from agreed.sim.stories.plays import PLAYS

DIRECTORY = Path(__file__).resolve().parent.parent / "docs" / "diagrams"


def main() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for name, play in PLAYS.items():
        (DIRECTORY / f"{name}.svg").write_text(svg(play()), encoding="utf-8")


if __name__ == "__main__":
    main()
