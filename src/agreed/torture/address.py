"""Where somebody is called, and from where."""
from __future__ import annotations

from typing import NamedTuple


class Address(NamedTuple):
    """`source`: the address of ours from which to call, where it matters who is seen to call."""

    host: str
    port: int
    source: str | None = None

    @property
    def caller(self) -> tuple[str, int] | None:
        """As `local_addr` of asyncio wants it."""
        return None if self.source is None else (self.source, 0)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
