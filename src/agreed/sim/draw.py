"""From a seed to a plan: which faults, how often, and what clients are after (swarm testing)."""
from __future__ import annotations

from agreed.sim.plan import Ask, Conditions, Fault, Plan, client_names
from agreed.sim.streams import Stream
from agreed.sim.workload import KEYS

FUNCTIONS = (
    ("read", 10), ("write", 10), ("cas", 8), ("local read", 6), ("add", 6), ("members", 3),
    ("enqueue", 6), ("dequeue", 6), ("increment", 8), ("value", 3), ("acquire", 3), ("exchange", 4),
    ("watch", 5), ("claim", 2),
)  # fmt: skip


def draw(seed: int, profile: str = "swarm") -> Plan:
    """The plan of this seed.  The same for ever, as long as this file stays what it is."""
    stream = Stream(seed, profile, "plan")
    nodes = stream.weighted([(3, 7), (5, 2), (1, 1)])
    clients = stream.between(2, 5)
    storm_ms = stream.pick([1_500, 2_500, 4_000])
    conditions = Conditions(snapshot_entries=stream.pick([15, 40, 10_000]), pipelined=stream.pick([1, 2, 4]))
    faults: tuple[Fault, ...] = ()
    asks = _asks(Stream(seed, profile, "asks"), clients, storm_ms)
    return Plan(seed, profile, nodes, clients, storm_ms, conditions, faults, asks)


def _asks(stream: Stream, clients: int, storm_ms: int) -> tuple[Ask, ...]:
    asks: list[Ask] = []
    for name in client_names(clients):
        at_ms = 0
        every_ms = stream.pick([10, 20, 50])
        while at_ms < storm_ms:
            at_ms += stream.between(0, 2 * every_ms)
            function = stream.weighted(FUNCTIONS)
            number, attempts = len(asks) + 1, stream.between(1, 3)
            asks.append(Ask(number, at_ms, name, function, stream.pick(KEYS), attempts=attempts))
    return tuple(asks)
