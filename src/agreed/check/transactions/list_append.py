"""Transactions that append to lists and read them.

Each element is appended once, so a read of a list tells the versions that the list went through, and who
made each of them: [1 2 3] was [1 2], [1], and empty.  Two reads of one list are fine if one is the
beginning of the other.  What is appended and never read came after all that was read.

So the whole order of versions is known, but for what is unread: two unread elements of one list have no
order (unless the server's revisions say it).  For serializability that does not matter, as nobody can tell;
for snapshot isolation it may hide a violation.

Where two reads are not compatible, only what all of them agree on counts as order.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

from agreed.check.history import History
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
from agreed.check.transactions.micro import APPEND, READ, Ambiguous, Transaction, Transactions, parse
from agreed.check.transactions.options import Options
from agreed.check.transactions.orders import server_order
from agreed.check.transactions.sentences import value_text
from agreed.check.transactions.versions import INITIAL, NOBODY, Reason, Versions
from agreed.check.verdict import Outcome, Verdict

Elements = tuple[Hashable, ...]


class ListRead(NamedTuple):
    reader: int
    elements: Elements


def list_append(history: History, options: Options | None = None) -> Verdict:
    """Judges transactions of `("append", key, element)` and `("r", key, [elements])`.

    Raises MalformedInput for operations that are no such transactions, and ConfigurationError for models or
    anomalies that do not exist."""
    options = options or Options()
    options.sought()
    meter = Meter(options.budget)
    parsed = parse(history, APPEND)
    findings = Findings(parsed)
    try:
        transactions = Transactions(parsed, APPEND)
    except Ambiguous as ambiguous:
        return Verdict(options.judged(), Outcome.UNKNOWN, f"writes are not unique: {ambiguous}")
    reads = _reads(transactions)
    updates = Updates()
    for transaction in transactions.committed():
        _look_at_one(transactions, transaction, findings, updates)
    updates.find_lost(findings)
    agreed: dict[Hashable, Elements] = {}
    for key in dict.fromkeys((*reads, *transactions.writers)):
        agreed[key] = _agreed_order(findings, key, reads.get(key, ()))
        _look_at_elements(transactions, findings, key, reads.get(key, ()))
        _find_reordered(transactions, findings, key, agreed[key], reads.get(key, ()))
        _find_dirty_update(transactions, findings, key, agreed[key])
    revisions = server_order(transactions) if options.revisions else {}
    orders = {
        key: _versions(transactions, key, reads.get(key, ()), elements, revisions, findings)
        for key, elements in agreed.items()
    }
    return judge(APPEND, options, transactions, orders, findings, meter)


def _reads(transactions: Transactions) -> dict[Hashable, list[ListRead]]:
    reads: dict[Hashable, list[ListRead]] = {}
    for transaction in transactions.committed():
        for function, key, value in transaction.steps:
            if function == READ and isinstance(value, tuple):
                reads.setdefault(key, []).append(ListRead(transaction.number, value))
    return reads


def _look_at_one(
    transactions: Transactions, transaction: Transaction, findings: Findings, updates: Updates
) -> None:
    """What one transaction shows: whether it sees its own reads and appends, whether it reads what is not
    yet or no more to be read, and which version it updates."""
    known: dict[Hashable, Elements] = {}
    own: dict[Hashable, list[Hashable]] = {}
    read_first: dict[Hashable, Elements] = {}
    for function, key, value in transaction.steps:
        if function == APPEND:
            if key in read_first:
                updates.note(key, read_first.pop(key)[-1:], transaction.number)
            own.setdefault(key, []).append(value)
        elif isinstance(value, tuple):
            appended = own.get(key, [])
            if key not in known and key not in own:
                read_first[key] = value
            if key in known and value != (expected := (*known[key], *appended)):
                find_internal(findings, transaction, key, value_text(expected), value)
            elif appended and value[-len(appended) :] != tuple(appended):
                find_internal(findings, transaction, key, f"[... {value_text(tuple(appended))[1:]}", value)
            if value:
                find_intermediate_read(transactions, findings, transaction, key, value[-1])
            known[key] = value
            own[key] = []
    _look_for_future(transactions, transaction, findings)


def _look_for_future(transactions: Transactions, transaction: Transaction, findings: Findings) -> None:
    """Whether it reads an element that it appends only later."""
    to_come: dict[Hashable, set[Hashable]] = {}
    for function, key, value in reversed(transaction.steps):
        if function == APPEND:
            to_come.setdefault(key, set()).add(value)
        elif key in to_come and isinstance(value, tuple) and not to_come[key].isdisjoint(value):
            element = next(element for element in value if element in to_come[key])
            find_future_read(findings, transaction, key, element)


def _agreed_order(findings: Findings, key: Hashable, reads: Sequence[ListRead]) -> Elements:
    """The longest list of which every read is the beginning, or that is the beginning of every longer
    one."""
    longest = max(reads, key=lambda read: len(read.elements), default=ListRead(NOBODY, ()))
    if len(set(longest.elements)) == len(longest.elements) and all(
        read.elements == longest.elements[: len(read.elements)] for read in reads
    ):
        return longest.elements
    cleaned = [ListRead(read.reader, _without_duplicates(findings, key, read)) for read in reads]
    cleaned.sort(key=lambda read: len(read.elements), reverse=True)
    longest, agreed = cleaned[0], len(cleaned[0].elements)
    for read in cleaned:
        length = len(read.elements)
        if read.elements == longest.elements[:length]:
            continue
        agreed = min(agreed, next(at for at in range(length) if read.elements[at] != longest.elements[at]))
        if findings.wants("incompatible-order"):
            cast = findings.cast(longest.reader, read.reader)
            sentence = (
                f"T1 read {key} as {value_text(longest.elements)} and {cast.name(read.reader)} as "
                f"{value_text(read.elements)}: a list that only grows is never both."
            )
            findings.add("incompatible-order", cast, [sentence], key=key)
    return longest.elements[:agreed]


def _without_duplicates(findings: Findings, key: Hashable, read: ListRead) -> Elements:
    once = tuple(dict.fromkeys(read.elements))
    if len(once) < len(read.elements) and findings.wants("duplicate-elements"):
        twice = next(element for element in once if read.elements.count(element) > 1)
        sentence = f"T1 read {key} with {value_text(twice)} in it more than once, and it was appended once."
        findings.add("duplicate-elements", findings.cast(read.reader), [sentence], key=key)
    return once


def _look_at_elements(
    transactions: Transactions, findings: Findings, key: Hashable, reads: Sequence[ListRead]
) -> None:
    """Who appended what was read: nobody, an aborted transaction, or one that so turns out to have taken
    effect.

    Each element is looked at once, in the first of the reads that has it."""
    looked_at: set[Hashable] = set()
    for read in reads:
        if looked_at.issuperset(read.elements):
            continue
        for element in read.elements:
            if element in looked_at:
                continue
            looked_at.add(element)
            transactions.seen(key, element)
            find_garbage_read(transactions, findings, read.reader, key, element)
            find_aborted_read(transactions, findings, read.reader, key, element)


def _versions(
    transactions: Transactions,
    key: Hashable,
    reads: Sequence[ListRead],
    agreed: Elements,
    revisions: Mapping[int, int],
    findings: Findings,
) -> Versions:
    """The versions of a list: the agreed ones in a row, then what else is read or appended."""
    written = transactions.writers.get(key, {})
    versions = Versions(key, ())
    for read in reads:
        if read.elements and read.elements[: len(agreed)] == agreed:
            versions.longest_reader = read.reader
            break

    for element in agreed:
        versions.later[-1].append(versions.add(element, transactions))
    others = dict.fromkeys(element for read in reads for element in read.elements[len(agreed) :])
    others |= {
        element: None for element, source in written.items() if transactions.present[source.transaction]
    }
    rest = [versions.add(element, transactions) for element in others if element not in versions.number]
    for reader, elements in reads:
        version = versions.number[elements[-1]] if elements else INITIAL
        if versions.writers[version] != reader and versions.readers[version][-1:] != [reader]:
            versions.readers[version].append(reader)
    read_in = {element: read.reader for read in reads for element in read.elements[len(agreed) :]}

    def reason_of(version: int) -> Reason:
        reader = read_in.get(versions.values[version], NOBODY)
        return Reason("unread", (versions.longest_reader,)) if reader == NOBODY else Reason("read", (reader,))

    trusted = {} if read_in else revisions  # where reads contradict each other, the server cannot be right
    if _order_rest(versions, len(agreed), rest, trusted, reason_of):
        return versions
    find_cyclic_versions(findings, versions)
    return _versions(transactions, key, reads, agreed, {}, findings)


def _order_rest(
    versions: Versions,
    last: int,
    rest: Sequence[int],
    revisions: Mapping[int, int],
    reason_of: Callable[[int], Reason],
) -> bool:
    """After the last agreed version come those of which the server told a revision, in that order; those of
    which it did not come somewhere after it.  False if the server contradicts what was read: then there is a
    circle."""
    place = {
        version: revisions[writer] for version, writer in enumerate(versions.writers) if writer in revisions
    }
    known = sorted((version for version in rest if version in place), key=place.__getitem__)
    previous = last
    for version in known:
        by_server = Reason("revision", (versions.writers[previous], versions.writers[version]))
        versions.before(previous, version, reason_of(version) if previous == last else by_server)
        previous = version
    for version in rest:
        if version not in place:
            versions.before(last, version, reason_of(version))
    latest = INITIAL
    for version in (*range(1, last + 1), *known):
        if version not in place:
            continue
        if latest and place[version] < place[latest]:
            versions.before(
                version, latest, Reason("revision", (versions.writers[version], versions.writers[latest]))
            )
            return False
        latest = version
    return True


def _find_reordered(
    transactions: Transactions,
    findings: Findings,
    key: Hashable,
    agreed: Elements,
    reads: Sequence[ListRead],
) -> None:
    """What one transaction appended, read in another order than that of its appends, or not all of it."""
    appended: dict[int, list[Hashable]] = {}
    for element, source in transactions.writers.get(key, {}).items():
        appended.setdefault(source.transaction, []).append(element)
    shown = dict.fromkeys(appended, 0)
    for element in agreed:
        written = transactions.writer(key, element)
        if written is None:
            continue
        writer = written.transaction
        expected = appended[writer][shown[writer]]
        shown[writer] += 1
        if element == expected or transactions.transactions[writer].aborted:
            continue
        if findings.wants("incompatible-order"):
            reader = next(read.reader for read in reads if element in read.elements)
            cast = findings.cast(writer, reader)
            name = cast.name(reader)
            sentence = f"T1 appended {expected} to {key} before {element}, and {name} read {element} first."
            findings.add("incompatible-order", cast, [sentence], key=key)
        return


def _find_dirty_update(
    transactions: Transactions, findings: Findings, key: Hashable, agreed: Elements
) -> None:
    """An append of an aborted transaction below one of a committed transaction."""
    dirty = NOBODY
    for element in agreed:
        source = transactions.writer(key, element)
        if source is None:
            continue
        writer = transactions.transactions[source.transaction]
        if writer.aborted:
            dirty = writer.number
        elif writer.committed and dirty != NOBODY:
            if findings.wants("dirty-update"):
                sentence = f"T1 aborted, and T2 appended {element} to {key} on top of what T1 had appended."
                findings.add("dirty-update", findings.cast(dirty, writer.number), [sentence], key=key)
            return
