"""`agreed check`: could what these clients saw have happened?  For histories of any system.

    agreed check etcd_002.log
    agreed check run.jsonl --model tree --html run.html
    agreed check append.edn --property list-append --level serializable

Ends with

    0    every history holds
    1    one is violated
    2    misused: an unknown option, a file that is no history, operations that the model does not know
    3    none is violated, and of one it is not known: a bound on time or memory was reached first
"""
from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from agreed.check import explain
from agreed.check.history import History
from agreed.check.models import MODELS
from agreed.check.read import Format
from agreed.check.verdict import Budget, Outcome, Verdict
from agreed.cli.check_properties import PROPERTIES, Question
from agreed.errors import ConfigurationError, MalformedInput

HOLDS, VIOLATED, MISUSED, UNKNOWN = 0, 1, 2, 3

BYTES_OF_A_STATE = 400
"""As `Budget.states` counts them."""


class Judged(msgspec.Struct, frozen=True):
    """One file, as JSON tells of it."""

    file: str
    operations: int
    seconds: float
    verdict: Verdict


def judge(name: str, text: str, property_: str, question: Question) -> tuple[History, Judged]:
    """Raises MalformedInput and ConfigurationError."""
    began = time.perf_counter()
    try:
        recorded, verdict = PROPERTIES[property_](text, name, question)
    except MalformedInput as error:
        said = str(error)
        raise MalformedInput(said if said.startswith(name) else f"{name}: {said}") from error
    return recorded, Judged(name, len(recorded), round(time.perf_counter() - began, 6), verdict)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """The worst of them."""
    if Outcome.VIOLATED in outcomes:
        return VIOLATED
    return UNKNOWN if Outcome.UNKNOWN in outcomes else HOLDS


def said(recorded: History, judged: Judged) -> str:
    """For people: one line if it holds, and the piece that cannot be if it does not."""
    verdict = judged.verdict
    line = (
        f"{judged.file}: {verdict.outcome.value}: {verdict.judged}"
        f" ({judged.operations:,} operations, {verdict.steps:,} steps, {judged.seconds:.3f} s)"
    )
    if verdict.outcome is Outcome.VIOLATED:
        return f"{line}\n\n{explain.text(recorded, verdict)}"
    return f"{line}: {verdict.reason}" if verdict.reason else line


def _initial(said: str | None) -> Any:
    """JSON if it is JSON, else a text."""
    if said is None:
        return None
    try:
        return msgspec.json.decode(said)
    except msgspec.DecodeError:
        return said


@click.command("check")
@click.argument("histories", nargs=-1, required=True, type=click.File(encoding="utf-8"), metavar="HISTORY...")
@click.option(
    "--property",
    "property_",
    type=click.Choice(list(PROPERTIES)),
    default="linearizable",
    show_default=True,
    help="What is to hold.",
)
@click.option(
    "--model",
    type=click.Choice(list(MODELS)),
    default="cas-register",
    show_default=True,
    help="What kind of object it is about (linearizable, sequential).",
)
@click.option("--initial", metavar="JSON", help="With what the object begins.  [default: as its model says]")
@click.option(
    "--level", "levels", multiple=True, metavar="NAME", help="Of transactions: the model asked for; several."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice([each.value for each in Format]),
    help="Of the files.  [default: seen from their beginning]",
)
@click.option("--independent", is_flag=True, help="Jepsen: each value is a pair [key value].")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True)
@click.option("--memory", type=click.IntRange(1), default=1000, show_default=True, metavar="MIB")
@click.option("--json", "in_json", is_flag=True, help="For programs: a list of verdicts.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Draw it (one history) as a page there."
)
def command(
    histories: Sequence[Any],
    property_: str,
    model: str,
    initial: str | None,
    levels: tuple[str, ...],
    format_: str | None,
    independent: bool,
    seconds: float,
    memory: int,
    in_json: bool,
    html: Path | None,
) -> None:
    """Could what these clients saw have happened?

    Reads our JSON Lines, Jepsen's EDN and JSON, and Porcupine's logs; a dash is the standard input.  Ends
    with 0 if every history holds, 1 if one is violated, 3 if it is not known, 2 if it was misused.
    """
    if html is not None and len(histories) > 1:
        raise click.UsageError("--html draws one history")
    outcomes, told = [], []
    for file in histories:
        budget = Budget(seconds, time.monotonic, memory * 2**20 // BYTES_OF_A_STATE)
        question = Question(
            model, _initial(initial), budget, levels, Format(format_) if format_ else None, independent
        )
        try:
            recorded, judged = judge(file.name, file.read(), property_, question)
        except (MalformedInput, ConfigurationError, UnicodeDecodeError) as error:
            raise click.UsageError(str(error)) from error
        outcomes.append(judged.verdict.outcome)
        told.append(judged)
        if not in_json:
            click.echo(said(recorded, judged))
        if html is not None:
            html.write_text(explain.page(recorded, judged.verdict), encoding="utf-8")
    if in_json:
        click.echo(msgspec.json.format(msgspec.json.encode(told, enc_hook=str), indent=2).decode())
    sys.stdout.flush()
    click.get_current_context().exit(exit_code(outcomes))
