"""The workloads by name."""
from __future__ import annotations

from collections.abc import Callable

from agreed.torture.workloads.counter import Counter
from agreed.torture.workloads.lists import Lists
from agreed.torture.workloads.locks import Locks
from agreed.torture.workloads.queue import Queue
from agreed.torture.workloads.register import Register
from agreed.torture.workloads.sets import Sets
from agreed.torture.workloads.watch import Watch
from agreed.torture.workloads.workload import Workload

WORKLOADS: dict[str, Callable[[], Workload]] = {
    "register": Register,
    "set": Sets,
    "queue": Queue,
    "lock": Locks,
    "counter": Counter,
    "watch": Watch,
    "list-append": Lists,
}
