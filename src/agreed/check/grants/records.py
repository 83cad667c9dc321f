"""What is written down of users and of the resource that they share.  Pure values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from agreed.check.history import Status


class Tenure(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something was granted to somebody: a lock, a permit, a term, a job.

    It began to be asked for at `asked`, and the grant was in hand at `obtained`.  `certain_until`: the last
    moment for which the holder was ever told that nobody else can have it (None: it was never told so).
    Who is told that, and was granted it before, has had it all the time since `obtained`.
    `ended`: when the holder began to give it back (None: never; it was killed, say)."""

    name: str
    holder: str
    token: int
    asked: int
    obtained: int
    certain_until: int | None = None
    ended: int | None = None

    @property
    def certain(self) -> tuple[int, int] | None:
        """From when to when nobody else may have it, if the service keeps its word."""
        if self.certain_until is None:
            return None
        until = self.certain_until if self.ended is None else min(self.certain_until, self.ended)
        return (self.obtained, until) if until > self.obtained else None

    def __str__(self) -> str:
        return f"{self.holder} with token {self.token}"


class Access(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Somebody came to the resource, which lies outside of the service.  In the order of their arrival."""

    at: int
    name: str
    token: int
    holder: str
    accepted: bool


class Look(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Somebody asked who has it; `token` None: nobody."""

    name: str
    by: str
    asked: int
    answered: int
    token: int | None


class Put(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A job was put into a queue; jobs have different names."""

    job: str
    status: Status


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Somebody said that a job is done; OK: and was told that this is so."""

    job: str
    token: int
    holder: str
    status: Status


class Effect(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What was done in one step with the acknowledgement of a job, as it was read when the queue was empty at
    the end: it bears the token of who did it."""

    job: str
    token: int


class Terms(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`permits`: how many may hold one name at a time.  `drained`: the queue was empty at the end, and every
    effect is told; only then something can be called lost."""

    permits: int = 1
    drained: bool = False


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of the users of one recipe."""

    terms: Terms = Terms()
    tenures: Sequence[Tenure] = ()
    accesses: Sequence[Access] = ()
    looks: Sequence[Look] = ()
    puts: Sequence[Put] = ()
    acknowledgements: Sequence[Acknowledgement] = ()
    effects: Sequence[Effect] = ()

    @property
    def effects_by_job(self) -> Mapping[str, int] | None:
        return {each.job: each.token for each in self.effects} if self.terms.drained else None


def seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.3f} s"
