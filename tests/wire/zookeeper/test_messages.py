"""Names and numbers."""

from __future__ import annotations

import typing

import msgspec
import pytest
from kazoo import exceptions

from agreed.wire.zookeeper import messages, replies
from agreed.wire.zookeeper.messages import ErrorCode, Op

MESSAGES = [
    value
    for value in {**vars(messages), **vars(replies)}.values()
    if isinstance(value, type) and issubclass(value, msgspec.Struct)
]


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_cannot_be_changed_and_cost_the_garbage_collector_nothing(message):
    assert message.__struct_config__.frozen
    assert not message.__struct_config__.gc


def test_every_request_and_reply_is_in_its_union():
    unions = typing.get_args(messages.Request) + typing.get_args(replies.Reply)
    named = {m for m in MESSAGES if m.__name__.endswith(("Request", "Reply"))}
    assert named - set(unions) == {messages.ConnectRequest, messages.CheckRequest}


def test_our_error_codes_are_those_of_kazoo():
    theirs = {code for code in exceptions.EXCEPTIONS if code != 0}
    assert theirs - set(ErrorCode) == set()
    assert exceptions.EXCEPTIONS[ErrorCode.NO_NODE] is exceptions.NoNodeError
    assert exceptions.EXCEPTIONS[ErrorCode.BAD_VERSION] is exceptions.BadVersionError


def test_our_operation_codes_leave_those_free_that_another_server_has_taken():
    assert not {500, 501, 502, 503, 504, 505, 506, 507, 997} & set(Op)
