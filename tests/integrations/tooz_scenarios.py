"""tooz's own tests of its drivers, played with ours; a program, for some of them start processes.

    python -m tests.integrations.tooz_scenarios agreed+memory://tooz agreed+file:///tmp/tooz

The second URL is for those of them that start processes.

It prints one line of JSON: how many were run, and the names of those that failed or were skipped, each with
the reason.  Their tests import drivers of services that are not here, but only to ask whether the driver
under test is one of them: classes of these names do.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import types
import unittest

MISSING = {
    "etcd3gw": "Etcd3Driver",
    "ipc": "IPCDriver",
    "memcached": "MemcachedDriver",
    "redis": "RedisDriver",
}

NOT_PLAYED = ("test_connection_error_bad_host",)
"""It waits for a server that is not there for as long as is usual; there is a shorter one of our own."""


STUCK_AFTER_S = 200
"""Then it says where, and ends."""


def stand_in() -> None:
    import tooz.drivers

    for name, driver in MISSING.items():
        module = types.ModuleType(f"tooz.drivers.{name}")
        setattr(module, driver, type(driver, (), {}))
        sys.modules[module.__name__] = module
        setattr(tooz.drivers, name, module)


stand_in()


def main() -> None:
    from tooz.tests import test_coordination, test_partitioner

    faulthandler.dump_traceback_later(STUCK_AFTER_S, exit=True)
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    for tests in (test_coordination.TestAPI, test_partitioner.TestPartitioner):
        names = set(loader.getTestCaseNames(tests)) - {*NOT_PLAYED}
        suite.addTests(tests(name) for name in sorted(names))
    result = unittest.TestResult()
    usual, shared = sys.argv[1:3]
    for test in suite:
        os.environ["TOOZ_TEST_URL"] = shared if test.id().endswith("_process") else usual
        test.run(result)
    told = {
        "run": result.testsRun,
        "failed": [(test.id(), why) for test, why in [*result.failures, *result.errors]],
        "skipped": {test.id().rpartition(".")[2]: why for test, why in result.skipped},
    }
    print(json.dumps(told), flush=True)
    os._exit(0)  # their tests leave coordinators open, whose end is nothing to wait for


if __name__ == "__main__":
    main()
