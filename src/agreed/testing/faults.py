"""What is done to the next request that matches, and how often.

    DROP          it never arrives: the connection breaks, and nothing was done
    LOSE_REPLY    it is done, and the connection breaks instead of the reply
    FAIL          it is answered with an error, and nothing was done
    DELAY         it waits before the server, for a while by the server's clock, or until it is let go

Of the first two a client sees the same, and has to find out which it was.  That is why they are here.

A fault that is misspelt would never be met, and its test would show nothing: so words that no request has are
refused at once, and `Fault.met` tells how often it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from enum import Enum, auto
from fnmatch import fnmatchcase
from typing import Final

from agreed.errors import ConfigurationError

MET_WITHIN_S: Final = 10.0


class Treatment(Enum):
    DROP = auto()
    LOSE_REPLY = auto()
    FAIL = auto()
    DELAY = auto()


class NotMet(AssertionError):
    """No request has come that matches."""


class Fault:
    """`word`: what is asked ("create", "put"), None: whatever; `pattern`: of a key, matched as files are.

    Belongs to the event loop of the server, but for what stands in the second half."""

    def __init__(
        self,
        treatment: Treatment,
        word: str | None,
        pattern: str | None,
        times: int,
        *,
        error: object = None,
        seconds: float | None = None,
    ) -> None:
        if times < 1:
            raise ConfigurationError(f"a fault that is met {times} times is none")
        self.treatment = treatment
        self.word = word
        self.pattern = pattern
        self.left = times
        self.error = error
        self.seconds = seconds
        self.met = 0
        """How many requests it was done to."""
        self.waiting: list[Callable[[], None]] = []
        """What goes on when those that it delays are let go."""
        self.on_release: Callable[[], None] = lambda: None
        self._was_met = threading.Event()

    def __repr__(self) -> str:
        whose = self.word or "any request"
        where = f" of {self.pattern}" if self.pattern else ""
        return f"<{self.treatment.name.lower()} {whose}{where}: met {self.met} times>"

    def matches(self, word: str, keys: Collection[str]) -> bool:
        if not self.left or self.word not in (None, word):
            return False
        return self.pattern is None or any(fnmatchcase(key, self.pattern) for key in keys)

    def meet(self) -> None:
        self.left -= 1
        self.met += 1
        self._was_met.set()

    # --- for tests, on whichever thread -------------------------------------------------------------------

    def wait_until_met(self, timeout_s: float = MET_WITHIN_S) -> None:
        """By at least one request.  Raises NotMet."""
        if not self._was_met.wait(timeout_s):
            raise NotMet(f"{self!r}, after {timeout_s:g} s")

    def release(self) -> None:
        """What it delays goes on now, in its order; nothing more is delayed."""
        self.on_release()


class Pending:
    """The faults that still wait for a request, in the order in which they were asked for."""

    def __init__(self, words: Collection[str]) -> None:
        self.words = words
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Raises ConfigurationError for a word that no request has."""
        if fault.word is not None and fault.word not in self.words:
            raise ConfigurationError(f"no request is called {fault.word!r}: {', '.join(sorted(self.words))}")
        self._faults.append(fault)

    def first_for(self, word: str, keys: Sequence[str]) -> Fault | None:
        """Counted as met."""
        for fault in self._faults:
            if fault.matches(word, keys):
                fault.meet()
                if not fault.left:
                    self._faults.remove(fault)
                return fault
        return None

    def remove(self, fault: Fault) -> None:
        if fault in self._faults:
            self._faults.remove(fault)

    def clear(self) -> None:
        self._faults.clear()
