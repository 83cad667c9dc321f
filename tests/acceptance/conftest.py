"""What the acceptance tests have in common: one marker for the long one."""
from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", 'kazoo_suite: minutes long; leave it out with -m "not kazoo_suite"')
