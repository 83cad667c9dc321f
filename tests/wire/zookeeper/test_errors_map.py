"""Every refusal has a name in the protocol."""
from __future__ import annotations

import pytest

from agreed.store.results import Refusal
from agreed.wire.zookeeper.errors_map import ERROR_OF
from agreed.wire.zookeeper.messages import ErrorCode


@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_is_an_error(refusal: Refusal) -> None:
    assert ERROR_OF[refusal] is not ErrorCode.OK


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Refusal.BAD_ARGUMENTS, -8),
        (Refusal.UNSUPPORTED, -6),
        (Refusal.INVALID_ACL, -114),
        (Refusal.NO_KEY, -101),
        (Refusal.NO_PARENT, -101),
        (Refusal.NOT_ALLOWED, -102),
        (Refusal.EXISTS, -110),
        (Refusal.BAD_VERSION, -103),
        (Refusal.NOT_EMPTY, -111),
        (Refusal.PARENT_IS_EPHEMERAL, -108),
        (Refusal.QUOTA_EXCEEDED, -125),
        (Refusal.NO_LEASE, -112),
    ],
)
def test_the_codes_are_those_of_a_real_server(refusal: Refusal, code: int) -> None:
    assert ERROR_OF[refusal] == code
