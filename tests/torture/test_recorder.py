"""What is written down of an operation, however it ends; and who has promised what to whom."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from agreed.check.history import History, Status
from agreed.check.models.register import CasRegister
from agreed.check.verdict import Outcome
from agreed.torture import judging
from agreed.torture.client import VERSION, NotAsked, Refused, Unanswered
from agreed.torture.recorder import Actor, Answer, Clock, Recorder, session_of


async def answered(result: object, revision: int | None = None) -> Answer:
    return Answer(result, revision)


async def raising(problem: Exception) -> Answer:
    raise problem


def recorded(*asked: tuple[str, str, object, Awaitable[Answer]]) -> History:
    """(session, function, argument, what comes of it), one after the other, by one actor."""

    async def play() -> History:
        recorder, actor = Recorder(Clock()), Actor()
        for session, function, argument, outcome in asked:
            try:
                await recorder.record(actor, session, function, argument, "x", outcome)
            except (Refused, NotAsked, Unanswered):
                pass
        return recorder.history([])

    return asyncio.run(play())


def test_a_refusal_is_evidence_and_what_was_not_asked_is_none() -> None:
    refused, unasked = recorded(
        ("s/1", "cas", [1, 2], raising(Refused(VERSION))), ("s/1", "read", None, raising(NotAsked("cut off")))
    )
    assert (refused.status, refused.error) == (Status.FAIL, None)
    assert (unasked.status, unasked.error) == (Status.FAIL, "cut off")


def test_after_what_was_never_answered_another_process_of_the_session_goes_on() -> None:
    first, second = recorded(
        ("s/1", "write", 1, raising(Unanswered("lost"))), ("s/1", "write", 2, answered(None))
    )
    assert (first.status, first.returned) == (Status.INFO, None)
    assert first.process != second.process
    assert session_of(first.process) == session_of(second.process) == "s/1"


def test_a_cancelled_operation_may_have_happened() -> None:
    async def play() -> History:
        recorder = Recorder(Clock())

        async def forever() -> Answer:
            await asyncio.sleep(60)
            return Answer(None)

        task = asyncio.ensure_future(recorder.record(Actor(), "s/1", "write", 1, "x", forever()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return recorder.history([])

    [operation] = asyncio.run(play())
    assert operation.status is Status.INFO


def test_operations_are_numbered_in_the_order_of_their_calls() -> None:
    assert [each.index for each in recorded(*[("s/1", "write", n, answered(None)) for n in range(4)])] == [
        0,
        1,
        2,
        3,
    ]


def test_an_old_local_read_breaks_no_promise_of_the_register() -> None:
    """... but a fresh one does."""
    for function, outcome in ((judging.LOCAL_READ, Outcome.HOLDS), ("read", Outcome.VIOLATED)):
        operations = recorded(("a/1", "write", 1, answered(None, 5)), ("b/1", function, None, answered(0, 4)))
        assert judging.linearizable(operations, CasRegister(0)).verdict.outcome is outcome


def test_an_old_local_read_of_what_the_session_has_written_itself_does() -> None:
    operations = recorded(
        ("a/1", "write", 1, answered(None, 5)), ("a/1", judging.LOCAL_READ, None, answered(0, 4))
    )
    assert judging.sessions(operations, initial=0).verdict.outcome is Outcome.VIOLATED


def test_a_session_is_held_to_its_promise_beyond_an_unanswered_operation() -> None:
    operations = recorded(
        ("a/1", judging.LOCAL_READ, None, answered(0, 7)),
        ("a/1", "write", 1, raising(Unanswered("lost"))),
        ("a/1", judging.LOCAL_READ, None, answered(0, 4)),
    )
    assert judging.sessions(operations, initial=0).verdict.outcome is Outcome.VIOLATED


def test_another_session_owes_nothing_to_the_one_before() -> None:
    operations = recorded(
        ("a/1", judging.LOCAL_READ, None, answered(0, 7)), ("a/2", judging.LOCAL_READ, None, answered(0, 4))
    )
    assert judging.sessions(operations, initial=0).verdict.outcome is Outcome.HOLDS


def test_what_an_unanswered_write_has_left_may_be_read() -> None:
    operations = recorded(
        ("a/1", "write", 1, raising(Unanswered("lost"))), ("b/1", judging.LOCAL_READ, None, answered(1, 4))
    )
    assert judging.sessions(operations, initial=0).verdict.outcome is Outcome.HOLDS
