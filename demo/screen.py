"""How the demonstration looks: one line for each thing shown, a summary at the end; plain text in a pipe.

Nothing is measured or decided here.
"""
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

BARS = " ▁▂▃▄▅▆▇█"


class Screen:
    """Says what happens, and keeps count of what did not hold."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=100)
        self.failures: list[str] = []

    def act(self, title: str) -> None:
        """A new part of the story."""
        self.console.print(f"\n[bold]{title}[/bold]")

    def shown(self, what: str, figure: str = "") -> None:
        """One thing that was seen to hold."""
        self.console.print(f"  [green]✓[/green] {what}" + (f"  [dim]{figure}[/dim]" if figure else ""))

    def note(self, what: str) -> None:
        self.console.print(f"  [yellow]•[/yellow] {what}")

    def check(self, holds: bool, what: str, figure: str = "") -> None:
        """`shown` if it holds; else it is told in red, and the demonstration fails in the end."""
        if holds:
            self.shown(what, figure)
        else:
            self.failures.append(what)
            self.console.print(f"  [bold red]✗ {what}[/bold red]  {figure}")

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str], None]]:
        """A spinner while something goes on; call what is yielded to change its words."""
        with self.console.status(f"[dim]{what}[/dim]") as status:
            yield lambda words: status.update(f"[dim]{words}[/dim]")

    def timeline(self, counts: Sequence[int], marked: int, slot_ms: int) -> None:
        """How many things happened in each slot of time, as bars; `marked` is the slot of the kill."""
        most = max(counts, default=0) or 1
        bars = "".join(BARS[0 if not count else max(1, round(8 * count / most))] for count in counts)
        self.console.print(f"\n    [green]{bars[:marked]}[/green][red]│[/red][green]{bars[marked:]}[/green]")
        self.console.print(f"    {' ' * marked}[red]↑ SIGKILL[/red]")
        self.console.print(
            f"    [dim]acknowledged writes; one column is {slot_ms} ms, the highest {most} writes[/dim]\n"
        )

    def summary(self, rows: Sequence[tuple[str, str]], verdict: str) -> None:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="dim")
        table.add_column(justify="right", style="bold")
        for name, figure in rows:
            table.add_row(name, figure)
        colour = "red" if self.failures else "green"
        panel = Panel(
            table,
            title=f"[bold {colour}]{verdict}[/bold {colour}]",
            border_style=colour,
            box=box.ROUNDED,
            expand=False,
            padding=(1, 3),
        )
        self.console.print()
        self.console.print(panel)
        for failure in self.failures:
            self.console.print(f"[bold red]did not hold: {failure}[/bold red]")
