"""What pytest needs to run python-etcd3's suite as it is, in an environment of its own with newer libraries.

hypothesis has become stricter about fixtures since then and has a deadline for examples; and clients that are
made without an address get that of the cluster under test instead of the default port of etcd.
"""

from __future__ import annotations

import functools
import os

import etcd3
from hypothesis import HealthCheck, settings

settings.register_profile(
    "as then", suppress_health_check=list(HealthCheck), deadline=None, derandomize=True, max_examples=10
)
settings.load_profile("as then")

etcd3.client = functools.partial(
    etcd3.client, port=int(os.environ["PYTHON_ETCD_HTTP_URL"].rpartition(":")[2])
)
