"""What users do with each recipe, and what they may not have been told."""

from __future__ import annotations

from typing import Final

from tests.recipes.world.plays.barriers import Barriers, DoubleBarriers
from tests.recipes.world.plays.copies import Replicas, Subtrees
from tests.recipes.world.plays.groups import Assignments, Groups, Registries
from tests.recipes.world.plays.lines import (
    Elections,
    Locks,
    MultiLocks,
    ReadWriteLocks,
    ReentrantLocks,
    Semaphores,
)
from tests.recipes.world.plays.logs import Cells, Configs, Logs, Transactions
from tests.recipes.world.plays.numbers import Counters, Events, Ids, Latches, RateLimiters
from tests.recipes.world.plays.queues import Queues
from tests.recipes.world.world import Play

KINDS: Final[tuple[type[Play], ...]] = (
    Locks,
    ReentrantLocks,
    ReadWriteLocks,
    MultiLocks,
    Semaphores,
    Elections,
    Groups,
    Assignments,
    Registries,
    Barriers,
    DoubleBarriers,
    Latches,
    Events,
    Counters,
    Ids,
    RateLimiters,
    Cells,
    Transactions,
    Configs,
    Logs,
    Queues,
    Replicas,
    Subtrees,
)

PLAYS: Final = {kind.name: kind for kind in KINDS}
