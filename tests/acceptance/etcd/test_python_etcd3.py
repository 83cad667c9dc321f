"""python-etcd3 cannot tell our cluster from a real one: its own 82 tests pass."""

from __future__ import annotations

import pytest

from tests.acceptance.etcd.python_etcd3 import CannotInstall, run_suite


@pytest.mark.peer("etcd")
@pytest.mark.timeout(1800)
def test_its_own_suite_passes_against_three_nodes() -> None:
    try:
        outcome = run_suite()
    except CannotInstall as reason:
        pytest.skip(f"python-etcd3 or what it needs cannot be installed: {reason}")
    failures = "\n".join(f"FAILED {name}\n{reason}" for name, reason in outcome.failed.items())
    assert not outcome.failed, f"{outcome}\n{failures}"
    assert len(outcome.passed) == 82
