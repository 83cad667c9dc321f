"""Three nodes of ours behave as three of etcd 3.5.1 when leaders move, a learner comes and goes, and the
quorum is lost.

What those did is kept in `../recorded/`; `python -m tests.acceptance.etcd.everything` records it again.
"""

from __future__ import annotations

import pytest

from tests.acceptance.cluster import changes_members
from tests.acceptance.etcd.ensemble import EtcdFace
from tests.acceptance.etcd.everything import SITUATIONS, recorded
from tests.acceptance.etcd.questions_situations import Situations


@changes_members
@pytest.mark.timeout(240)
def test_they_do_what_was_recorded() -> None:
    with EtcdFace(3) as cluster:
        assert Situations(cluster).ask_all() == recorded(SITUATIONS)
