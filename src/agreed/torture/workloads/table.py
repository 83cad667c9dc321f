"""The workloads by name."""
from __future__ import annotations

from collections.abc import Callable

from agreed.torture.workloads.register import Register
from agreed.torture.workloads.workload import Workload

WORKLOADS: dict[str, Callable[[], Workload]] = {
    "register": Register,
}
