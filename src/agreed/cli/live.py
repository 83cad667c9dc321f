"""A few lines of a terminal that are drawn again in their place.

    live = Live()
    live.draw(["10 runs", "all clean"])
    live.tell("a line that stays, above them")
    live.draw(["20 runs", "all clean"])

It is written to standard error, which has to be a terminal: it moves the cursor.  Lines are cut at the width
of the terminal, since one that was wrapped would take two rows, and the next drawing would begin too low.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from typing import Final

import click

PERIOD_S: Final = 0.25


class Live:
    def __init__(self) -> None:
        self._rows = 0
        self._next_s = 0.0

    def is_due(self) -> bool:
        """Oftener than this nobody could read it."""
        return time.monotonic() >= self._next_s

    def draw(self, lines: Sequence[str]) -> None:
        columns = shutil.get_terminal_size().columns
        self._erase()
        self._next_s = time.monotonic() + PERIOD_S
        self._rows = len(lines)
        for line in lines:
            click.echo(line[:columns], err=True)

    def tell(self, line: str) -> None:
        self._erase()
        click.echo(line, err=True)

    def _erase(self) -> None:
        """Up to the first of the lines, and away with all from there on."""
        if self._rows:
            click.echo(f"\x1b[{self._rows}F\x1b[J", nl=False, err=True)
        self._rows = 0
