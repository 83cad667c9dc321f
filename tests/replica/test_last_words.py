"""What a client says counts also if its connection is gone before the next report of who was heard."""
from __future__ import annotations

from agreed.replica import events
from agreed.replica.upkeep import EXPIRY_GRACE_MS, REPORT_EVERY_MS
from agreed.wire.zookeeper.messages import ConnectResponse, PingRequest
from tests.replica.alone import Alone


def test_a_session_lives_for_its_whole_time_after_the_last_word_of_its_client() -> None:
    """It is silent for almost as long as it may be, speaks, and its connection breaks."""
    node = Alone()
    client = node.client()
    [response] = client.replies
    assert isinstance(response, ConnectResponse)
    node.pass_ms(response.timeout_ms + EXPIRY_GRACE_MS - REPORT_EVERY_MS // 2)
    assert len(node.replica.store.leases) == 1
    client.ask(PingRequest())
    node.turn(events.ClientClosed(client.id))
    node.pass_ms(response.timeout_ms - REPORT_EVERY_MS)
    assert len(node.replica.store.leases) == 1, "it was heard of within its time"
    node.pass_ms(EXPIRY_GRACE_MS + 3 * REPORT_EVERY_MS)
    assert len(node.replica.store.leases) == 0


def test_a_leader_knows_whom_it_has_heard_itself_when_it_lets_a_session_expire() -> None:
    """Its client speaks to the leader after the last report and before the round that would end it."""
    for spoke_ms_before in range(100, REPORT_EVERY_MS, 100):
        node = Alone()
        client = node.client(10_300)  # so that it does not end when whoever was heard is reported
        [response] = client.replies
        assert isinstance(response, ConnectResponse)
        node.pass_ms(response.timeout_ms + EXPIRY_GRACE_MS - spoke_ms_before)
        client.ask(PingRequest())
        node.pass_ms(response.timeout_ms)
        assert len(node.replica.store.leases) == 1, f"it was heard {spoke_ms_before} ms before the end"
        node.pass_ms(EXPIRY_GRACE_MS + 2 * REPORT_EVERY_MS)
        assert len(node.replica.store.leases) == 0
