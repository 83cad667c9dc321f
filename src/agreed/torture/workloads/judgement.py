"""One promise, judged: what was looked at, and what came of it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agreed.check.history import History
from agreed.check.verdict import Verdict
from agreed.check.watches import OneShotRecord, WatchRecord, Write


class Judgement(NamedTuple):
    """`name` tells the promises of one workload apart; `history` is what the judge was given, with
    `records` and `written` where it is about watches."""

    name: str
    history: History
    verdict: Verdict
    records: Sequence[WatchRecord | OneShotRecord] = ()
    written: Sequence[Write] = ()
