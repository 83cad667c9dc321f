"""What a mutant is: one wrong part in a cluster of right ones, under the number that the literature's list
gives it, with the rule that it breaks."""
from __future__ import annotations

import inspect

import msgspec

from agreed.sim.parts import Parts


class Mutant(msgspec.Struct, frozen=True):
    """`part` is the class or function whose docstring is the rule."""

    id: str
    part: object
    parts: Parts
    profiles: tuple[str, ...] = ("swarm",)
    """Where it is to be found soonest (`grounds.py`), the first of them the best."""

    @property
    def name(self) -> str:
        return str(getattr(self.part, "__name__", self.part))

    @property
    def rule(self) -> str:
        return " ".join((inspect.getdoc(self.part) or "").split())
