"""What all tests have in common.

Those that need a real peer are skipped, and say so, where it is missing.  What mostly waits is done beside
the others (`meanwhile.py`).  No example of a property has a deadline: on a machine that does something else
for a moment the fastest of them takes a second, and that says nothing of the property.
"""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

from tests import meanwhile
from tests.peers import WHY_MISSING

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """A shell that runs the tests in the background has Ctrl-C ignored in them and in all that they start; a
    test that interrupts somebody would wait for ever."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("meanwhile") is not None)


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    modules = {
        item.module: None
        for item in session.items
        if isinstance(item, pytest.Function) and item.get_closest_marker("meanwhile") and not why_not(item)
    }
    meanwhile.begin([each for module in modules for each in meanwhile.of_module(module)])


def why_not(item: pytest.Item) -> str | None:
    """Which peer it needs and has not."""
    names = [name for mark in item.iter_markers("peer") for name in mark.args]
    return next((reason for name in names if (reason := WHY_MISSING[name]())), None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if reason := why_not(item):
        pytest.skip(reason)
