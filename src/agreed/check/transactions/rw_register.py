"""Transactions that write registers and read them.

Each value is written once, so a read tells which write it read.  It does not tell what was there before: of
the order of versions only that is known for which there is a reason.

* The initial nothing comes first, always.
* Revisions of the server, where operations carry them.  If every committed write has one, and nobody saw a
  write of which nobody knows whether it took effect, then the whole order is known.
* Whatever `Options` lets be taken for granted: writes follow reads within a transaction, keys are
  sequential, keys are linearizable.

Where reasons contradict each other, cyclic-versions are found, and the order of that key is forgotten.

So a history of registers can be wrong without being found out.  If one holds, `Verdict.witnesses` says
whether that is proven: by an order of all transactions in which each reads what it read.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from agreed.check.history import History, Process
from agreed.check.transactions.findings import Findings
from agreed.check.transactions.isolation import (
    Updates,
    find_aborted_read,
    find_cyclic_versions,
    find_future_read,
    find_garbage_read,
    find_intermediate_read,
    find_internal,
)
from agreed.check.transactions.judge import judge
from agreed.check.transactions.meter import Meter
from agreed.check.transactions.micro import READ, WRITE, Ambiguous, Transaction, Transactions, parse
from agreed.check.transactions.options import Options
from agreed.check.transactions.orders import server_order
from agreed.check.transactions.sentences import value_text
from agreed.check.transactions.versions import INITIAL, NOBODY, Reason, Versions
from agreed.check.verdict import Outcome, Verdict


class Touch(NamedTuple):
    """One transaction and one key: the first version that it saw or made of it, the last, and the one that
    it left behind (NOBODY if it only read)."""

    transaction: int
    first: int
    last: int
    written: int
    begins_with_read: bool


def rw_register(history: History, options: Options | None = None) -> Verdict:
    """Judges transactions of `("w", key, value)` and `("r", key, value)`; None is what nobody has written
    yet.

    Raises MalformedInput for operations that are no such transactions, and ConfigurationError for models or
    anomalies that do not exist."""
    options = options or Options()
    options.sought()
    meter = Meter(options.budget)
    parsed = parse(history, WRITE)
    findings = Findings(parsed)
    try:
        transactions = Transactions(parsed, WRITE)
        _refuse_initial(transactions)
    except Ambiguous as ambiguous:
        return Verdict(options.judged(), Outcome.UNKNOWN, f"writes are not unique: {ambiguous}")
    updates = Updates()
    for transaction in transactions.committed():
        _look_at_one(transactions, transaction, findings, updates, options.garbage_reads)
    updates.find_lost(findings)
    orders = _orders(transactions, findings, options)
    return judge(WRITE, options, transactions, orders, findings, meter)


def _refuse_initial(transactions: Transactions) -> None:
    for key, written in transactions.writers.items():
        if None in written:
            number = transactions.transactions[written[None].transaction].operation.index
            raise Ambiguous(
                f"operation {number} writes to {key!r} the nothing that was there in the beginning"
            )


def _look_at_one(
    transactions: Transactions, transaction: Transaction, findings: Findings, updates: Updates, garbage: bool
) -> None:
    """What one transaction shows: whether it sees its own reads and writes, whether it reads what is not
    yet or no more to be read, and which version it updates."""
    known: dict[Hashable, Hashable] = {}
    read_first: dict[Hashable, Hashable] = {}
    wrote: dict[Hashable, set[Hashable]] = {}
    for function, key, value in transaction.steps:
        if function == WRITE:
            if key in read_first:
                updates.note(key, read_first.pop(key), transaction.number)
            wrote.setdefault(key, set()).add(value)
        else:
            transactions.seen(key, value)
            if key not in known:
                read_first[key] = value
            elif known[key] != value:
                find_internal(findings, transaction, key, value_text(known[key]), value)
            source = transactions.writer(key, value)
            if (
                source is not None
                and source.transaction == transaction.number
                and value not in wrote.get(key, ())
            ):
                find_future_read(findings, transaction, key, value)
            find_intermediate_read(transactions, findings, transaction, key, value)
            find_aborted_read(transactions, findings, transaction.number, key, value)
            if garbage and value is not None:
                find_garbage_read(transactions, findings, transaction.number, key, value)
        known[key] = value


def _orders(transactions: Transactions, findings: Findings, options: Options) -> dict[Hashable, Versions]:
    orders = _versions(transactions)
    touching: dict[Hashable, list[Transaction]] = {key: [] for key in orders}
    for transaction in transactions.transactions:
        if transactions.present[transaction.number]:
            for key in dict.fromkeys(step.key for step in transaction.steps):
                touching[key].append(transaction)
    revisions = server_order(transactions) if options.revisions else {}
    for key, versions in orders.items():
        _put_in_order(transactions, versions, touching[key], revisions, options, only_committed=False)
        if versions.circle() is None:
            continue
        # It may hang on a write of which nobody knows whether it took effect.  Without, it is one for sure.
        _put_in_order(transactions, versions, touching[key], revisions, options, only_committed=True)
        if find_cyclic_versions(findings, versions):
            versions.forget_order()
    return orders


def _put_in_order(
    transactions: Transactions,
    versions: Versions,
    touching: Sequence[Transaction],
    revisions: Mapping[int, int],
    options: Options,
    *,
    only_committed: bool,
) -> None:
    """Gives the versions of a key all the order for which there is a reason."""
    versions.forget_order()
    touches = [_touch(transactions, versions, transaction, only_committed) for transaction in touching]
    touches = [touch for touch in touches if touch.first != NOBODY]
    if options.writes_follow_reads_keys:
        _by_reads(versions, touches)
    _by_revision(versions, touches, revisions)
    if options.sequential_keys:
        _by_process(versions, touches, transactions)
    if options.linearizable_keys:
        _by_time(versions, touches, transactions)
    _initial_first(versions)


def _versions(transactions: Transactions) -> dict[Hashable, Versions]:
    """Every version that was read, and every one that a transaction left behind."""
    orders: dict[Hashable, Versions] = {}

    def version_of(key: Hashable, value: Hashable) -> int:
        versions = orders.get(key)
        if versions is None:
            versions = orders[key] = Versions(key, None)
        known = versions.number.get(value)
        if known is not None:
            return known
        return versions.add(value, transactions)

    for transaction in transactions.transactions:
        if not transactions.present[transaction.number]:
            continue
        for function, key, value in transaction.steps:
            if function == READ:
                version = version_of(key, value)
                readers = orders[key].readers[version]
                if orders[key].writers[version] != transaction.number and readers[-1:] != [
                    transaction.number
                ]:
                    readers.append(transaction.number)
            else:
                source = transactions.writer(key, value)
                if source is not None and source.final:
                    version_of(key, value)
    return orders


def _touch(
    transactions: Transactions, versions: Versions, transaction: Transaction, only_committed: bool
) -> Touch:
    """How a transaction touches a key.

    What was aborted, or overwritten by its own transaction, has no place in the order: whoever saw it has
    seen what read-committed forbids, and more cannot be concluded from it."""
    first = last = written = NOBODY
    begins_with_read: bool | None = None
    for function, key, value in transaction.steps:
        if key != versions.key:
            continue
        if begins_with_read is None:
            begins_with_read = function == READ
        source = transactions.writer(key, value)
        if source is not None:
            writer = transactions.transactions[source.transaction]
            if not source.final or writer.aborted or (only_committed and not writer.committed):
                continue
        last = versions.number[value]
        first = last if first == NOBODY else first
        if function == WRITE:
            written = last
    return Touch(transaction.number, first, last, written, bool(begins_with_read))


def _by_reads(versions: Versions, touches: Iterable[Touch]) -> None:
    for touch in touches:
        own = versions.writers[touch.first] == touch.transaction
        if touch.begins_with_read and touch.written != NOBODY and not own:
            versions.before(touch.first, touch.written, Reason("wfr", (touch.transaction,)))


def _by_revision(versions: Versions, touches: Iterable[Touch], revisions: Mapping[int, int]) -> None:
    writers = [touch for touch in touches if touch.written != NOBODY and touch.transaction in revisions]
    writers.sort(key=lambda touch: revisions[touch.transaction])
    for one, other in pairwise(writers):
        reason = Reason("revision", (one.transaction, other.transaction))
        versions.before(one.written, other.written, reason)


def _by_process(versions: Versions, touches: Iterable[Touch], transactions: Transactions) -> None:
    latest: dict[Process, Touch] = {}
    for touch in touches:
        process = transactions.transactions[touch.transaction].operation.process
        before = latest.get(process)
        if before is not None:
            versions.before(
                before.last, touch.first, Reason("process", (before.transaction, touch.transaction))
            )
        latest[process] = touch


def _by_time(versions: Versions, touches: Iterable[Touch], transactions: Transactions) -> None:
    """From each touch to those that were called after its return, but for what follows by way of others."""
    running: list[tuple[int, int, Touch]] = []
    over: list[tuple[int, Touch]] = []
    for touch in touches:
        operation = transactions.transactions[touch.transaction].operation
        while running and running[0][0] < operation.called:
            returned, called, ended = heappop(running)
            over = [one for one in over if one[0] >= called]
            over.append((returned, ended))
        for _, before in over:
            versions.before(
                before.last, touch.first, Reason("realtime", (before.transaction, touch.transaction))
            )
        if operation.returned is not None:
            heappush(running, (operation.returned, operation.called, touch))


def _initial_first(versions: Versions) -> None:
    followed = {later for row in versions.later for later in row}
    for version in range(1, len(versions)):
        if version not in followed:
            versions.before(INITIAL, version, Reason("initial"))
