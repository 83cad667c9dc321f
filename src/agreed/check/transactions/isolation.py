"""What shows without any circle, in one transaction or two: the same for lists and registers."""
from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise

from agreed.check.transactions.findings import Findings
from agreed.check.transactions.micro import Transaction, Transactions
from agreed.check.transactions.sentences import reason_text, value_text
from agreed.check.transactions.versions import Versions


def find_intermediate_read(
    transactions: Transactions, findings: Findings, reader: Transaction, key: Hashable, value: Hashable
) -> None:
    """G1b: a transaction read what another wrote and then overwrote itself."""
    source = transactions.writer(key, value)
    if source is None or source.final or source.transaction == reader.number:
        return
    if transactions.transactions[source.transaction].aborted or not findings.wants("G1b"):
        return
    cast = findings.cast(source.transaction, reader.number)
    sentence = (
        f"T2 read {key} as T1 left it in between: with {value_text(value)}, after which T1 wrote {key} again."
    )
    findings.add("G1b", cast, [sentence], key=key)


def find_aborted_read(
    transactions: Transactions, findings: Findings, reader: int, key: Hashable, value: Hashable
) -> None:
    """G1a: a committed transaction read what an aborted one wrote."""
    source = transactions.writer(key, value)
    if source is None or not transactions.transactions[source.transaction].aborted:
        return
    if findings.wants("G1a"):
        cast = findings.cast(source.transaction, reader)
        findings.add(
            "G1a", cast, [f"T2 read {value_text(value)} from {key}, which T1 wrote; and T1 aborted."], key=key
        )


def find_garbage_read(
    transactions: Transactions, findings: Findings, reader: int, key: Hashable, value: Hashable
) -> None:
    if transactions.writer(key, value) is None and findings.wants("garbage-read"):
        cast = findings.cast(reader)
        findings.add(
            "garbage-read",
            cast,
            [f"T1 read {value_text(value)} from {key}, and nobody ever wrote it."],
            key=key,
        )


def find_internal(
    findings: Findings, transaction: Transaction, key: Hashable, expected: str, read: Hashable
) -> None:
    """A transaction does not see what it read or wrote itself before."""
    if findings.wants("internal"):
        sentence = f"After its own steps T1 had to read {key} as {expected}, and read {value_text(read)}."
        findings.add("internal", findings.cast(transaction.number), [sentence], key=key)


def find_future_read(findings: Findings, transaction: Transaction, key: Hashable, value: Hashable) -> None:
    if findings.wants("future-read"):
        sentence = f"T1 read {value_text(value)} from {key} before it wrote it itself."
        findings.add("future-read", findings.cast(transaction.number), [sentence], key=key)


class Updates:
    """Who read which version of a key and then wrote the key: of two that read the same one, the second did
    not see the first, whose update is lost."""

    def __init__(self) -> None:
        self._of_version: dict[tuple[Hashable, Hashable], list[int]] = {}

    def note(self, key: Hashable, version: Hashable, transaction: int) -> None:
        self._of_version.setdefault((key, version), []).append(transaction)

    def find_lost(self, findings: Findings) -> None:
        for (key, _), updaters in self._of_version.items():
            if len(updaters) > 1 and findings.wants("lost-update"):
                cast = findings.cast(*updaters[:5])
                names = " and ".join(cast.name(number) for number in updaters[:5])
                sentence = f"{names} read the same version of {key}, and each of them wrote {key} then."
                findings.add("lost-update", cast, [sentence], key=key)


def find_cyclic_versions(findings: Findings, versions: Versions) -> bool:
    """Whether there are versions of the key that come each before the next, and the last before the
    first."""
    circle = versions.circle()
    if circle is None:
        return False
    if findings.wants("cyclic-versions"):
        cast = findings.cast()
        sentences = [
            f"{value_text(versions.values[one])} comes before {value_text(versions.values[other])} under "
            f"{versions.key}: {reason_text(cast, versions, versions.reason(one, other), one, other)}."
            for one, other in pairwise(circle)
        ]
        findings.add("cyclic-versions", cast, sentences, key=versions.key)
    return True
