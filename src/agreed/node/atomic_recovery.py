"""Recovery of transactions over databases, in a thread beside the node (`agreed.transactions.recovery`).

It is a client like any other, of this very node: it waits for databases that do not answer, which the node
must never do, and it dies with the node.  Of all nodes that have one, one is active.

A thread, and not a process: it is idle but for a look each second.  It is a daemon: a node that is told to
stop does not wait for a database.
"""
from __future__ import annotations

import threading
from functools import partial

from agreed import client
from agreed.node.config import Config


class AtomicRecovery:
    """Raises ConfigurationError for a file that names no databases."""

    def __init__(self, config: Config) -> None:
        # Imported here: a node without databases does without their libraries.
        from agreed.transactions.databases import load
        from agreed.transactions.recovery import SESSION_S, Recovery

        assert config.atomic_databases is not None
        self._stop = threading.Event()
        connect = partial(client.connect, f"agreed://{config.zookeeper}", session_timeout_s=SESSION_S)
        recovery = Recovery(connect, load(config.atomic_databases))
        self._thread = threading.Thread(
            target=recovery.run, args=(self._stop,), name="agreed-recovery", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """It ends by itself, soon."""
        self._stop.set()


def atomic_recovery(config: Config) -> AtomicRecovery | None:
    """None where no databases are named."""
    return AtomicRecovery(config) if config.atomic_databases is not None else None
