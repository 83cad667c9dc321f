"""What all tests have in common.

Those that need a real peer are skipped, and say so, where it is missing.  `make test` shares the files out
among two processes, because most of them mostly wait: `LONG` come first, one after the other.  No example of
a property has a deadline: on a machine that does something else for a moment the fastest of them takes a
second, and that says nothing of the property.
"""

from __future__ import annotations

import os
import signal
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.peers import WHY_MISSING

LONG: Final = (
    "tests/acceptance/test_kazoo_suite.py",
    "tests/acceptance/etcd/test_python_etcd3.py",
    "tests/acceptance/etcd/test_etcdctl.py",
    "tests/test_wheel.py",
    "tests/demo/test_cluster_demo.py",
    "tests/cli/test_torture_memory.py",
    "tests/torture/users/test_run.py",
)

# Before anybody loads it: what grpcio does in a copy of this process (`os.fork`) may meet what its other
# threads had just begun, and end the copy by SIGABRT.  No copy that a test makes uses it.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# Before anybody loads eventlet: it would put copies of its own in the place of the modules of dnspython, for
# all of this process.
os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """A shell that runs the tests in the background has Ctrl-C ignored in them and in all that they start; a
    test that interrupts somebody would wait for ever."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {file: number for number, file in enumerate(LONG)}
    items.sort(key=lambda item: order.get(file_of(item.nodeid), len(order)))


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class ByFile(LoadScopeScheduling):  # type: ignore[misc,unused-ignore]
    """A file is played by one process, for what its tests share; so are those that take long together,
    because each of them uses several processes of its own."""

    def _split_scope(self, nodeid: str) -> str:
        file = file_of(nodeid)
        return "what takes long" if file in LONG else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    config.option.loadscopereorder = False  # as they are: `LONG` first
    return ByFile(config, log)


def why_not(item: pytest.Item) -> str | None:
    """Which peer it needs and has not."""
    names = [name for mark in item.iter_markers("peer") for name in mark.args]
    return next((reason for name in names if (reason := WHY_MISSING[name]())), None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if reason := why_not(item):
        pytest.skip(reason)
