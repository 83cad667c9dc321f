"""What a leader does unasked: it lets silent sessions expire, and asks for checkpoints."""

from __future__ import annotations

from agreed.replica.upkeep import (
    EXPIRY_GRACE_MS,
    ON_THE_WAY_MS,
    PLAIN_A_ROUND,
    REPORT_EVERY_MS,
    UPKEEP_EVERY_MS,
    CheckpointTrigger,
    Expiry,
)

TTL_MS = 4_000


def expiry(*leases: int, now: int = 0) -> Expiry:
    made = Expiry()
    made.start(((lease, TTL_MS) for lease in leases), now)
    return made


def test_a_session_that_says_nothing_expires_after_its_time_and_a_grace() -> None:
    leases = expiry(1)
    assert leases.due(TTL_MS + EXPIRY_GRACE_MS - 1) == []
    assert leases.due(TTL_MS + EXPIRY_GRACE_MS) == [1]


def test_a_session_that_is_heard_of_gets_its_time_anew() -> None:
    leases = expiry(1)
    leases.heard(1, 3_000)
    assert leases.due(TTL_MS + EXPIRY_GRACE_MS) == []
    assert leases.due(3_000 + TTL_MS + EXPIRY_GRACE_MS - 1) == []
    assert leases.due(3_000 + TTL_MS + EXPIRY_GRACE_MS) == [1]


def test_what_is_said_in_the_last_moment_is_known_in_time() -> None:
    """The report of a follower comes up to one period after its client spoke."""
    leases = expiry(1)
    spoken_at = TTL_MS - 1
    for now in range(0, spoken_at + REPORT_EVERY_MS, 100):
        assert leases.due(now) == []
    leases.heard(1, spoken_at + REPORT_EVERY_MS)
    assert leases.due(spoken_at + TTL_MS) == []


def test_an_expiry_that_was_not_carried_out_comes_up_again() -> None:
    leases = expiry(1)
    assert leases.due(10_000) == [1]
    assert leases.due(10_001) == []
    assert leases.due(10_000 + TTL_MS) == [1]


def test_a_session_that_ended_is_not_named() -> None:
    leases = expiry(1, 2)
    leases.remove(1)
    assert leases.due(10_000) == [2]
    assert len(leases) == 1


def test_to_be_heard_does_not_bring_a_session_back() -> None:
    leases = expiry(1)
    leases.remove(1)
    leases.heard(1, 10)
    assert len(leases) == 0
    assert leases.due(100_000) == []


def test_a_session_attached_anew_has_the_time_it_asked_for_last() -> None:
    leases = expiry(1)
    leases.add(1, 1_000, 500)
    assert leases.due(1_500 + EXPIRY_GRACE_MS - 1) == []
    leases.add(1, 40_000, 2_000)
    assert leases.due(TTL_MS + EXPIRY_GRACE_MS) == []
    assert leases.next_deadline == 42_000 + EXPIRY_GRACE_MS


def test_a_session_that_comes_again_and_again_is_named_once_and_takes_no_more_memory() -> None:
    leases = expiry(1)
    for now in range(0, 1_000, 10):
        leases.add(1, TTL_MS, now)
    assert leases.due(100_000) == [1]
    leases.remove(1)
    leases.due(1_000_000)
    assert leases.next_deadline is None


def test_a_session_whose_number_is_used_again_is_a_new_one() -> None:
    leases = expiry(1)
    leases.remove(1)
    leases.add(1, TTL_MS, 3_000)
    assert leases.due(TTL_MS + EXPIRY_GRACE_MS) == []
    assert leases.due(3_000 + TTL_MS + EXPIRY_GRACE_MS) == [1]


def test_who_leads_no_longer_expires_nobody() -> None:
    leases = expiry(1)
    leases.stop()
    assert leases.due(100_000) == []
    assert leases.next_deadline is None


def test_a_checkpoint_is_due_by_commands_or_by_bytes_and_asked_for_once() -> None:
    trigger = CheckpointTrigger(10, 1_000)
    trigger.applied(9, 999)
    assert not trigger.due()
    trigger.applied(1, 0)
    assert trigger.due()
    assert not trigger.due()
    trigger.taken()
    trigger.applied(1, 1_000)
    assert trigger.due()


def test_a_new_leader_asks_again_for_the_checkpoint_of_the_old_one() -> None:
    trigger = CheckpointTrigger(1, 1_000)
    trigger.applied(1, 0)
    assert trigger.due()
    trigger.ask_again()
    assert trigger.due()


def test_a_checkpoint_that_somebody_needs_is_due_however_little_has_happened() -> None:
    trigger = CheckpointTrigger(10, 1_000)
    trigger.wanted()
    assert trigger.due()
    assert not trigger.due(), "it is asked for"
    trigger.taken()
    assert not trigger.due()


def test_a_plain_lease_has_no_grace_but_more_than_its_time_under_a_new_leader() -> None:
    """The renewal by the leader before may still be on its way to who holds the lease."""
    leases = Expiry()
    leases.start([], 0, [(1, TTL_MS)])
    leases.add(2, TTL_MS, 0, plain=True)
    assert leases.due(TTL_MS - 1) == []
    assert leases.due(TTL_MS) == [2]
    assert leases.remaining_ms(1, 0) == TTL_MS
    assert leases.due(TTL_MS + ON_THE_WAY_MS - 1) == []
    assert leases.due(TTL_MS + ON_THE_WAY_MS) == [1]


def test_an_end_that_is_decided_is_known_until_it_is_carried_out_or_not() -> None:
    leases = Expiry()
    leases.add(1, TTL_MS, 0, plain=True)
    assert not leases.named(1)
    leases.due(TTL_MS)
    assert leases.named(1)
    leases.not_carried_out(1)
    assert not leases.named(1)
    leases.due(3 * TTL_MS)
    leases.remove(1)
    assert not leases.named(1)
    assert leases.remaining_ms(1, 0) is None


def test_of_plain_leases_that_end_together_some_end_at_a_time_and_all_end() -> None:
    leases = Expiry()
    many = 2 * PLAIN_A_ROUND + 1
    leases.start([(many + 1, TTL_MS)], 0, [(lease, TTL_MS) for lease in range(1, many + 1)])
    now = TTL_MS + EXPIRY_GRACE_MS + ON_THE_WAY_MS
    named = []
    for _ in range(3):
        due = leases.due(now)
        assert len([lease for lease in due if lease <= many]) <= PLAIN_A_ROUND
        named += due
        now += UPKEEP_EVERY_MS
    assert sorted(named) == list(range(1, many + 2))
