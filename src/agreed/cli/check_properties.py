"""Which question `agreed check` puts to which judge: a table, and how each is asked.

Each entry takes the text of a file, its name and what the command line said, and gives the history that is to
be drawn, and the verdict on it.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from agreed.check import linearizable, read
from agreed.check.causal import Kind, causal
from agreed.check.convergence import set_full
from agreed.check.grants import grants, together
from agreed.check.history import History, history
from agreed.check.models import MODELS, AnyModel, Keyed
from agreed.check.read import grantlines, watchlines
from agreed.check.sequential import sequential
from agreed.check.sessions import session_guarantees
from agreed.check.transactions import Options, list_append, rw_register
from agreed.check.verdict import Budget, Verdict
from agreed.check.watches import one_shot, picture, watches


class Question(msgspec.Struct, frozen=True):
    """What the command line said, besides the files and the property."""

    model: str
    initial: object
    budget: Budget
    levels: Sequence[str] = ()
    format: read.Format | None = None
    independent: bool = False

    def history(self, text: str, name: str) -> History:
        return read.history(text, name, self.format, self.independent)

    def made_model(self) -> AnyModel:
        return MODELS[self.model](self.initial)

    def options(self) -> Options:
        return Options(models=tuple(self.levels), budget=self.budget)


Judge: TypeAlias = Callable[[str, str, Question], tuple[History, Verdict]]


def _of_history(judge: Callable[[History, Question], Verdict]) -> Judge:
    def judged(text: str, name: str, question: Question) -> tuple[History, Verdict]:
        recorded = question.history(text, name)
        return recorded, judge(recorded, question)

    return judged


def _sequential(recorded: History, question: Question) -> Verdict:
    """Not local: many objects are judged together."""
    model = question.made_model()
    keyed = any(operation.key is not None for operation in recorded)
    return sequential(recorded, Keyed(model) if keyed else model, question.budget)


def _causal(kind: Kind) -> Judge:
    return _of_history(lambda recorded, question: causal(recorded, kind, question.initial))


def _watches(text: str, name: str, question: Question) -> tuple[History, Verdict]:
    records, written = watchlines.read_streams(text)
    return picture(records, written), watches(records, written)


def _one_shot(text: str, name: str, question: Question) -> tuple[History, Verdict]:
    records, written = watchlines.read_one_shot(text)
    return history(()), one_shot(records, written)


def _grants(text: str, name: str, question: Question) -> tuple[History, Verdict]:
    return history(()), together(grants(grantlines.read(text)).values())


PROPERTIES: dict[str, Judge] = {
    "linearizable": _of_history(
        lambda recorded, question: linearizable(recorded, question.made_model(), question.budget)
    ),
    "sequential": _of_history(_sequential),
    "causal": _causal("CC"),
    "CC": _causal("CC"),
    "CM": _causal("CM"),
    "CCv": _causal("CCv"),
    "PRAM": _causal("PRAM"),
    "session": _of_history(
        lambda recorded, question: session_guarantees(recorded, initial=question.initial)
    ),
    "list-append": _of_history(lambda recorded, question: list_append(recorded, question.options())),
    "rw-register": _of_history(lambda recorded, question: rw_register(recorded, question.options())),
    "set-full": _of_history(lambda recorded, question: set_full(recorded)),
    "watch": _watches,
    "one-shot-watch": _one_shot,
    "grants": _grants,
}
