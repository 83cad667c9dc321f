"""Consensus and coordination for Python.

    types, errors      the ground; and version
    clocks             time as values: what happened before what
    consensus          agree on one order (Raft; Multi-Paxos, Viewstamped Replication, ZAB)
    ordering           telling everybody, in FIFO, causal or total order
    registers          one value on several nodes without consensus: what that costs
    atomic_commit      all nodes commit, or none
    store              what the order is applied to
    check              was this history possible?
    wire               what is said: ZooKeeper's protocol, and our own between nodes
    client             a session with a cluster
    disk               what survives a crash
    replica            one whole node as a pure machine
    aio                for users: the asynchronous face of the client
    coordination       for users: a client by its URL, with every recipe by its name
    recipes            locks and the like, each written once, on whatever service
    backends           one contract for coordination services, and each of them behind it
    broadcast          for users: a named log that everybody reads in the same order
    transactions       for users: a transaction over several databases
    integrations       for users: Celery, APScheduler, ASGI, Django, SQLAlchemy, tooz
    node               the real world around a replica: sockets, clock, disk, configuration
    embedded           a node in the process of its users
    testing            for users: servers for their tests, with a clock and faults on a leash
    sim, torture       what breaks it: a world in one thread, and real processes
    cli                what an operator types
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from agreed.version import VERSION as __version__

if TYPE_CHECKING:
    from agreed import aio
    from agreed.coordination.synchronous import Client, connect
    from agreed.embedded.node import Node
    from agreed.recipes.replicated.declaring import command, query, replicated
    from agreed.recipes.replicated.stamps import now_ms, random
    from agreed.transactions import Aborted, InDoubt, atomic

__all__ = [
    "Aborted",
    "Client",
    "InDoubt",
    "Node",
    "__version__",
    "aio",
    "atomic",
    "command",
    "connect",
    "now_ms",
    "query",
    "random",
    "replicated",
]

_PLACES = {
    "Aborted": "agreed.transactions",
    "Client": "agreed.coordination.synchronous",
    "InDoubt": "agreed.transactions",
    "Node": "agreed.embedded.node",
    "atomic": "agreed.transactions",
    "command": "agreed.recipes.replicated.declaring",
    "connect": "agreed.coordination.synchronous",
    "now_ms": "agreed.recipes.replicated.stamps",
    "query": "agreed.recipes.replicated.declaring",
    "random": "agreed.recipes.replicated.stamps",
    "replicated": "agreed.recipes.replicated.declaring",
}


def __getattr__(name: str) -> object:
    """What programs use most, imported when it is asked for: a server has no use for it."""
    if name == "aio":
        return importlib.import_module("agreed.aio")
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
