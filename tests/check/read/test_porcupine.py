"""The logs of Jepsen's etcd test of 2014."""
from __future__ import annotations

import pytest

from agreed.check import linearizable
from agreed.check.history import Operation, Status
from agreed.check.models import CasRegister
from agreed.check.read import porcupine
from agreed.errors import MalformedInput

LOG = """\
INFO  jepsen.core - some other line
INFO  jepsen.util - 0\t:invoke\t:write\t3
INFO  jepsen.util - 1\t:invoke\t:cas\t[1 2]
INFO  jepsen.util - 0\t:ok\t:write\t3
INFO  jepsen.util - 1\t:fail\t:cas\t[1 2]
INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - :nemesis\t:info\t:start\t"Cut off [:n1 :n2]"
INFO  jepsen.util - 2\t:ok\t:read\t3
INFO  jepsen.util - 0\t:invoke\t:write\t4
INFO  jepsen.util - 0\t:info\t:write\t:timed-out
INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - 2\t:fail\t:read\t:timed-out
"""


def test_a_log_is_read() -> None:
    told = porcupine.read(LOG)
    assert told.operations == (
        Operation(0, 0, "write", 3, 3, 0, 2, Status.OK),
        Operation(1, 1, "cas", [1, 2], None, 1, 3, Status.FAIL),
        Operation(2, 2, "read", None, 3, 4, 6, Status.OK),
        Operation(3, 0, "write", 4, None, 7, None, Status.INFO, error="timed-out"),
        Operation(4, 2, "read", None, None, 9, 10, Status.FAIL, error="timed-out"),
    )
    assert [(each.name, each.began, each.detail) for each in told.faults] == [
        ("fault", 5, "Cut off [:n1 :n2]")
    ]


def test_a_compare_and_set_that_failed_is_evidence() -> None:
    assert linearizable(porcupine.read(LOG), CasRegister()).holds
    refused = LOG.replace("[1 2]", "[3 2]")
    call, failure = (f"INFO  jepsen.util - 1\t:{kind}\t:cas\t[3 2]\n" for kind in ("invoke", "fail"))
    late = refused.replace(call, "").replace(failure, call + failure)
    assert linearizable(porcupine.read(refused), CasRegister()).holds, "before the write it was not there"
    assert not linearizable(porcupine.read(late), CasRegister()).holds, "after it, it was"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("INFO  jepsen.util - 0\t:ok\t:write\t3", "completes what was not invoked"),
        ("INFO  jepsen.util - 0\t:invoke\t:write\t3 4", "'3 4' is not one value"),
        ("INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2", "is never closed"),
    ],
)
def test_what_is_no_history_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(MalformedInput, match=complaint):
        porcupine.read(line)
