"""A network that is cut, one way or both, that is slow, or that loses what is said.

Clients are part of the network: in a partition each of their places (`c1`, `c2`) is on one of the sides.
"""
from __future__ import annotations

import random
from collections.abc import Iterable

from agreed.torture.faults.fault import Fault, Scene
from agreed.torture.network import Direction, Links, Rule


class Disturbance:
    """A rule of the network that holds for a while."""

    def __init__(self, kind: str, detail: str, seconds: float, network: Links, rule: Rule) -> None:
        self.kind = kind
        self.detail = detail
        self.seconds = seconds
        self._network = network
        self._rule = rule

    async def begin(self) -> None:
        self._network.add(self._rule)

    async def end(self) -> None:
        self._network.remove(self._rule)


def both(pairs: Iterable[Direction]) -> frozenset[Direction]:
    """The pairs and their opposites."""
    return frozenset(each for one, other in pairs for each in ((one, other), (other, one)))


def between(one_side: Iterable[str], other_side: Iterable[str]) -> frozenset[Direction]:
    others = list(other_side)
    return both((one, other) for one in one_side for other in others)


def draw_partition(scene: Scene, dice: random.Random) -> Fault | None:
    names = dice.sample(scene.names, len(scene.names))
    kind = dice.choice(("halves", "minority", "one", "leader", "ring", "bridge"))
    if kind == "leader" and scene.leader is not None:
        names.remove(scene.leader.name)
        names.insert(0, scene.leader.name)
    if kind == "ring" and len(names) >= 4:
        around = zip(names, names[1:] + names[:1], strict=True)
        kept = both(around)
        cut = both((one, other) for one in names for other in names if one != other) - kept
        return _cut(scene, dice, "partition", f"ring {' '.join(names)}", cut)
    if kind == "bridge" and len(names) >= 3:
        middle, *rest = names
        half = len(rest) // 2
        cut = between(rest[:half], rest[half:])
        detail = f"bridge {middle} between {' '.join(rest[:half])} | {' '.join(rest[half:])}"
        return _cut(scene, dice, "partition", detail, cut)
    size = {"halves": len(names) // 2, "minority": dice.randint(1, scene.cluster.majority - 1)}.get(kind, 1)
    sides = [list(names[:size]), list(names[size:])]
    for place in scene.places:
        dice.choice(sides).append(place)
    return _cut(scene, dice, "partition", " | ".join(map(" ".join, sides)), between(*sides))


def draw_oneway(scene: Scene, dice: random.Random) -> Fault | None:
    names = dice.sample(scene.names, len(scene.names))
    one = scene.leader.name if scene.leader is not None and dice.random() < 0.6 else names[0]
    others = [name for name in names if name != one]
    others = others[: dice.choice((1, len(others) // 2, len(others)))]
    if dice.random() < 0.2:
        others = [dice.choice(scene.places)]
    if dice.random() < 0.5:
        return _cut(
            scene, dice, "oneway", f"{one} -> {' '.join(others)}", frozenset((one, other) for other in others)
        )
    cut = frozenset((other, one) for other in others)
    return _cut(scene, dice, "oneway", f"{' '.join(others)} -> {one}", cut)


def draw_delay(scene: Scene, dice: random.Random) -> Fault | None:
    directions, detail = _some_directions(scene, dice)
    delay_s, jitter_s = dice.uniform(0.005, 0.25), dice.uniform(0, 0.25)
    rule = Rule(directions, delay_s=delay_s, jitter_s=jitter_s)
    told = f"{delay_s * 1000:.0f} to {(delay_s + jitter_s) * 1000:.0f} ms {detail}"
    return Disturbance("delay", told, dice.uniform(1.0, 8.0), scene.cluster.network, rule)


def draw_loss(scene: Scene, dice: random.Random) -> Fault | None:
    directions, detail = _some_directions(scene, dice)
    loss = dice.choice((0.02, 0.05, 0.2))
    rule = Rule(directions, loss=loss)
    return Disturbance(
        "loss", f"{loss:.0%} {detail}", dice.uniform(1.0, 8.0), scene.cluster.network, rule
    )


def _cut(
    scene: Scene, dice: random.Random, kind: str, detail: str, directions: frozenset[Direction]
) -> Fault:
    # Only a relay can break what was cut: packets that are lost break nothing.
    reset = dice.random() < 0.5 and scene.cluster.network.relayed
    told = f"{detail}{'; then the connections break' if reset else ''}"
    rule = Rule(directions, cut=True, reset=reset)
    return Disturbance(kind, told, dice.uniform(0.5, 9.0), scene.cluster.network, rule)


def _some_directions(scene: Scene, dice: random.Random) -> tuple[frozenset[Direction], str]:
    """Everywhere, or about one node."""
    everybody = [*scene.names, *scene.places]
    if dice.random() < 0.4:
        every = frozenset((one, other) for one in everybody for other in everybody if one != other)
        return every, "everywhere"
    one = dice.choice(scene.names)
    return between([one], [name for name in everybody if name != one]), f"around {one}"
