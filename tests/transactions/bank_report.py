"""What a run of the bank has shown, as text."""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.transactions.bank_ledger import COMMITTED


@dataclass(frozen=True)
class Branch:
    """How long a branch was seen to be prepared, and its account locked; seconds."""

    database: str
    locked_s: float


class LockWatch:
    """Measures by the looks that come along anyway: from the first that shows a branch prepared to the first
    that does not.  What was prepared between two looks is not seen, and not worth it."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}
        self.branches: list[Branch] = []
        self.most_at_once = 0

    def look(self, database: str, prepared: frozenset[str], now: float) -> None:
        for name in prepared:
            self._since.setdefault((database, name), now)
        for key in [key for key in self._since if key[0] == database and key[1] not in prepared]:
            self.branches.append(Branch(database, now - self._since.pop(key)))
        self.most_at_once = max(self.most_at_once, len(self._since))

    def longer_than(self, seconds: float) -> list[Branch]:
        return [each for each in self.branches if each.locked_s > seconds]

    @property
    def longest_s(self) -> float:
        return max((each.locked_s for each in self.branches), default=0.0)

    def account_seconds(self, least_s: float) -> float:
        """For how long accounts were locked, added up over those that were for more than `least_s`."""
        return sum(each.locked_s for each in self.longer_than(least_s))


@dataclass
class Report:
    """`told`: outcome -> how often.  `broken`: kind -> how often.  Times in seconds."""

    way: str
    seed: int
    seconds: float
    told: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    broken: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    looks: int = 0
    most_in_doubt: int = 0
    locks: LockWatch = field(default_factory=LockWatch)
    healed_after_s: float | None = None
    violations: Sequence[str] = ()

    @property
    def never_told(self) -> int:
        """Committed, and whoever asked for it did not live to hear it."""
        return self.rows - self.told[COMMITTED]

    def text(self) -> str:
        took = sorted(self.took_s) or [0.0]
        p50, p99, longest = (1000 * took[int((len(took) - 1) * share)] for share in (0.5, 0.99, 1))
        long, together_s = len(self.locks.longer_than(1)), self.locks.account_seconds(1)
        rows = f"{self.rows} in the journals, of {self.never_told} nobody lived to hear"
        times = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {longest:.0f} ms"
        locked = f"{long} accounts by a prepared branch for more than 1 s, for {together_s:.0f} s together,"
        lines = [
            ("bank", f"{self.way}, seed {self.seed}, {self.seconds:.0f} s"),
            ("broken", counted(self.broken)),
            ("transfers", f"{counted(self.told)}; {rows}"),
            ("aborted", counted(dict(self.reasons.most_common(6)))),
            ("committed", f"{self.rows / self.seconds:.1f} /s; {times}"),
            ("looks", f"{self.looks}; money in doubt at most {self.most_in_doubt}"),
            ("locked", locked),
            ("", f"one for {self.locks.longest_s:.1f} s; at most {self.locks.most_at_once} branches at once"),
        ]
        if self.healed_after_s is not None:
            lines.append(("healed", f"nothing open {self.healed_after_s:.1f} s after the last client ended"))
        lines += [("WRONG", each) for each in self.violations]
        if not self.violations:
            lines.append(("verdict", "money conserved, nothing left over"))
        return "\n".join(f"{name:<10} {text}" for name, text in lines)


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
