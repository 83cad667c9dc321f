"""What takes minutes and mostly waits, done beside the other tests from the beginning and judged at the end.

    SUITE = Meanwhile(run_suite)

    @pytest.mark.meanwhile
    def test_the_suite_passes() -> None:
        outcome = SUITE.outcome()

`tests/conftest.py` moves tests with this mark behind all others, and begins the `Meanwhile` objects of their
modules when it is known which tests are to be run, one after the other.  A test that is run alone begins its
own and waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import ModuleType
from typing import Any, Generic, TypeVar

Outcome = TypeVar("Outcome")


class Meanwhile(Generic[Outcome]):
    def __init__(self, work: Callable[[], Outcome]) -> None:
        self._work = work
        self._future: Future[Outcome] = Future()

    def do(self) -> None:
        if self._future.set_running_or_notify_cancel():
            try:
                self._future.set_result(self._work())
            except BaseException as error:
                self._future.set_exception(error)

    def outcome(self) -> Outcome:
        """Raises what the work did.  The timeout of the test bounds it."""
        return self._future.result()


def of_module(module: ModuleType) -> list[Meanwhile[Any]]:
    return [each for each in vars(module).values() if isinstance(each, Meanwhile)]


def begin(all_of_them: Sequence[Meanwhile[Any]]) -> None:
    def one_after_the_other() -> None:
        for each in all_of_them:
            each.do()

    threading.Thread(target=one_after_the_other, name="meanwhile", daemon=True).start()
