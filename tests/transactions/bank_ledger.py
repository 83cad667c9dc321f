"""Judges a bank whose accounts lie in two databases, from looks at one of them at a time.

Nobody can read two databases at one instant, and the sum of two readings is not the money: a transfer that
commits between them is seen half.  So the accounts are not asked alone.  Each transfer leaves, in the same
branch as the change of the account, a row in the journal of its database: its name and its amount, negative
where the money left.  Rows are never taken away.  A *look* at a database is, in this order,

1. the transfers that are prepared there now, and neither committed nor rolled back;
2. one snapshot: the sum of its balances, and the rows of its journal.

Looks go to the two databases in turn.  What must hold at each of them, and cannot fail by bad luck:

* **Within one database**: the balances are what they were at first plus the amounts of all rows.  (One
  snapshot; a transfer applied twice, or without its row, or a committed one that is lost, breaks it.)
* **Every half has its other half.**  A row that an earlier look has shown at the other database was committed
  there before this look began.  So it had been decided to commit, hence both branches had been prepared, and
  what is prepared ends only as committed: this look finds the transfer prepared, or, if it ended in the
  meantime, its row in the snapshot that was taken later.  Neither of both means that half of it is lost.
  (The order matters: with the snapshot first, a transfer could commit between 2 and 1 and be in neither.
  PostgreSQL makes a transaction visible before it takes it off the list.)
* **Opposite amounts.**  The two rows of a transfer add up to nothing.
* **What a client was told.**  `committed` before the look began: prepared there, or a row.  `aborted`: no
  row, now or ever; prepared it may still be, until somebody rolls it back.

A row that this look is the first to show, and whose other half was not there in the look before, proves
nothing yet: it may have been committed since.  It is `owed`, and the next look at the other database must
find it.  So nothing escapes: of every row the other half is demanded by the very next look, and by each one
after it until it is a row as well.  With the halves that are prepared and those that are owed, the money of
the two databases adds up to what it was at first, at each look; `in_doubt` says how much was on its way.

At the end, when all is healed and the clients are gone, nothing may be left over: `close`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

COMMITTED, ABORTED, IN_DOUBT = "committed", "aborted", "in doubt"
"""What a client can be told about a transfer.  The last one promises nothing."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was read at one database.  `rows`: transfer -> amount; those shown before may be left out."""

    database: str
    prepared: frozenset[str]
    balance: int
    rows: Mapping[str, int]


class Ledger:
    """What looks and clients have said so far.  `balances`: what each of the two databases had at first."""

    def __init__(self, balances: Mapping[str, int]) -> None:
        first, second = balances
        self._other = {first: second, second: first}
        self._initial = dict(balances)
        self._rows: dict[str, dict[str, int]] = {first: {}, second: {}}
        self._sum = dict(balances)
        """By the rows that were seen; balances must be the same."""
        self._owed: dict[str, set[str]] = {first: set(), second: set()}
        """What the next look at this database must find prepared or as a row."""
        self._told: dict[str, str] = {}
        self._accused: set[tuple[str, str]] = set()
        self.violations: list[str] = []
        self.looks = 0
        self.most_in_doubt = 0

    def told(self, transfer: str, outcome: str) -> None:
        """A client was told so.  To be called before the looks that begin later."""
        before = self._told.get(transfer, IN_DOUBT)
        if before not in (IN_DOUBT, outcome) and outcome != IN_DOUBT:
            self._accuse(transfer, "contradiction", f"a client was told {before}, and {outcome} later")
        if outcome != IN_DOUBT:
            self._told[transfer] = outcome
        for database, rows in self._rows.items():
            if outcome == COMMITTED and transfer not in rows:
                self._owed[database].add(transfer)
            elif outcome == ABORTED and transfer in rows:
                self._accuse(transfer, "not aborted", f"told aborted, and committed at {database}")

    def look(self, look: Look) -> None:
        """Judges it; what is wrong is added to `violations`."""
        self.looks += 1
        here, there = look.database, self._other[look.database]
        demanded = self._owed[here]
        for transfer, amount in look.rows.items():
            if transfer not in self._rows[here]:
                self._new_row(transfer, amount, here, there)
        if look.balance != self._sum[here]:
            text = f"{here}: balances {look.balance}, rows say {self._sum[here]}"
            self._accuse("", f"balance {here}", text)
        self._owed[here] = {transfer for transfer in demanded if transfer not in self._rows[here]}
        for transfer in self._owed[here] - look.prepared:
            text = f"neither committed nor prepared at {here}: {self._evidence(transfer, there)}"
            self._accuse(transfer, f"lost half {here}", text)
        self.most_in_doubt = max(self.most_in_doubt, self.in_doubt)

    def _new_row(self, transfer: str, amount: int, here: str, there: str) -> None:
        self._rows[here][transfer] = amount
        self._sum[here] += amount
        if self._told.get(transfer) == ABORTED:
            self._accuse(transfer, "not aborted", f"told aborted, and committed at {here}")
        other = self._rows[there].get(transfer)
        if other is None:
            self._owed[there].add(transfer)
        elif other + amount != 0:
            self._accuse(transfer, "amounts", f"{amount} at {here}, {other} at {there}")

    def _evidence(self, transfer: str, there: str) -> str:
        if transfer in self._rows[there]:
            return f"it is committed at {there}"
        return "a client was told that it is committed"

    def _accuse(self, transfer: str, kind: str, text: str) -> None:
        """Once for each kind of wrong: a half that is lost is missed by every later look too."""
        if (transfer, kind) not in self._accused:
            self._accused.add((transfer, kind))
            self.violations.append(f"{transfer}: {text}" if transfer else text)

    @property
    def in_doubt(self) -> int:
        """How much money was on its way: the amounts of the rows whose other half is no row yet."""
        halves = ((self._other[at], each) for at, owed in self._owed.items() for each in owed)
        return sum(abs(self._rows[there].get(each, 0)) for there, each in halves)

    def committed(self) -> Collection[str]:
        """The transfers that are rows at either database."""
        first, second = self._rows.values()
        return first.keys() | second.keys()

    def close(self, last: Collection[Look]) -> None:
        """All is healed, the clients are gone, and what recovery needs of time has passed: `last` holds
        complete looks (all rows) at both databases, and nothing may be unfinished in them."""
        money = sum(look.balance for look in last)
        if money != sum(self._initial.values()):
            self._accuse("", "money", f"in the end {money}, at first {sum(self._initial.values())}")
        for look in last:
            self.look(look)
            for transfer in look.prepared:
                self._accuse(transfer, f"left {look.database}", f"still prepared at {look.database}")
            for transfer in self._rows[look.database].keys() - look.rows.keys():
                self._accuse(transfer, f"gone {look.database}", f"its row at {look.database} is gone")
        for database, owed in self._owed.items():
            for transfer in owed:
                self._accuse(transfer, f"lost half {database}", f"in the end it is not at {database}")
