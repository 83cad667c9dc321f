"""The orders that lie outside of the data: of each process, of real time, of the server's revisions.

Real time is a row of points, one for each instant at which something was called after something else had
returned.  Who returned before such an instant leads to its point, the points lead on to each other, and the
point to whom was called then: two edges per transaction, however many run at a time.

Intervals are closed: what is called at the very instant at which another returns overlaps it.
"""
from __future__ import annotations

from collections.abc import Sequence

from agreed.check.history import Process
from agreed.check.transactions.graph import Graph, Kind
from agreed.check.transactions.micro import READ, Transaction, Transactions


def add_process_order(graph: Graph, transactions: Sequence[Transaction], present: Sequence[bool]) -> None:
    last: dict[Process, int] = {}
    rows = graph.edges[Kind.PROCESS]
    for transaction in transactions:
        if not present[transaction.number]:
            continue
        process = transaction.operation.process
        if process in last:
            rows[last[process]].append(transaction.number)
        last[process] = transaction.number


def add_realtime_order(graph: Graph, transactions: Sequence[Transaction], present: Sequence[bool]) -> None:
    rows = graph.edges[Kind.REALTIME]
    returns = sorted(
        (transaction.operation.returned, transaction.number)
        for transaction in transactions
        if present[transaction.number] and transaction.operation.returned is not None
    )
    position = 0
    instant = -1
    for transaction in transactions:
        if not present[transaction.number]:
            continue
        called = transaction.operation.called
        arrived: list[int] = []
        while position < len(returns) and returns[position][0] < called:
            arrived.append(returns[position][1])
            position += 1
        if arrived:
            previous = instant
            instant = graph.point()
            if previous >= 0:
                graph.via[previous - graph.size].append(instant)
            for number in arrived:
                rows[number].append(instant)
        if instant >= 0:
            graph.via[instant - graph.size].append(transaction.number)


def server_order(transactions: Transactions) -> dict[int, int]:
    """The revisions of the committed transactions that wrote, by number.  A revision that several claim
    says nothing of their order, and is left out."""
    claimed: dict[int, list[int]] = {}
    for transaction in transactions.transactions:
        revision = transaction.operation.revision
        wrote = any(function != READ for function, _, _ in transaction.steps)
        if revision is not None and wrote and transaction.committed:
            claimed.setdefault(revision, []).append(transaction.number)
    return {numbers[0]: revision for revision, numbers in claimed.items() if len(numbers) == 1}
