"""Large ranges, made over many turns: the same answer as in one, whatever happens in between."""

from __future__ import annotations

import msgspec
import pytest

from agreed.replica.etcd import large_ranges
from agreed.replica.etcd.calls import Call
from agreed.wire.etcd import errors
from agreed.wire.etcd.json_mapping import from_json, to_json
from agreed.wire.etcd.messages import (
    CompactionRequest,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RangeResponse,
    SortOrder,
    SortTarget,
)
from agreed.wire.etcd.protobuf import decode, encode
from agreed.wire.grpc.status import OK
from tests.replica.alone import Alone
from tests.replica.etcd.browsing import Browser
from tests.replica.etcd.calling import Asked, Caller
from tests.replica.etcd.speaking import GrpcClient

KEYS, LARGE, SLICE = 23, 10, 4
ALL = (b"\0", b"\0")


class InParts(Caller):
    """A transport that takes parts, as gRPC's does."""

    def written(self, part: msgspec.Struct) -> bytes:
        return encode(part)

    def reply_written(self, call: Call, parts: list[bytes]) -> None:
        self.calls[call.stream].messages.append(decode(RangeResponse, b"".join(parts)))
        self.calls[call.stream].status = OK


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> InParts:
    monkeypatch.setattr(large_ranges, "LARGE", LARGE)
    monkeypatch.setattr(large_ranges, "SLICE", SLICE)
    monkeypatch.setattr(large_ranges, "SHORT", 1)
    caller = InParts(Alone())
    for number in range(KEYS):
        caller.ask("KV/Put", PutRequest(b"k%02d" % number, b"v"))
    return caller


def turns(caller: Caller, asked: Asked) -> int:
    """How many it takes until there is an answer."""
    for taken in range(100):
        if asked.status is not None:
            return taken
        caller.node.turn()
    raise AssertionError("no answer")


def at_once(caller: Caller, request: RangeRequest) -> RangeResponse:
    """By a transport that takes no parts."""
    reply = Caller(caller.node).ask("KV/Range", request).reply
    assert isinstance(reply, RangeResponse)
    return reply


@pytest.mark.parametrize(
    "request_",
    [
        RangeRequest(*ALL),
        RangeRequest(b"k0", b"k2"),
        RangeRequest(b"k03", b"\0"),
        RangeRequest(*ALL, limit=15),
        RangeRequest(*ALL, limit=23),
        RangeRequest(*ALL, keys_only=True),
        RangeRequest(*ALL, revision=20),
        RangeRequest(*ALL, serializable=True),
        RangeRequest(*ALL, min_mod_revision=3),
        RangeRequest(*ALL, max_create_revision=15, limit=7),
        RangeRequest(*ALL, sort_target=SortTarget.MOD),
        RangeRequest(*ALL, sort_target=SortTarget.MOD, limit=12),
        RangeRequest(*ALL, sort_target=SortTarget.VALUE, sort_order=SortOrder.DESCEND, limit=1),
        RangeRequest(*ALL, sort_target=SortTarget.VALUE, sort_order=SortOrder.ASCEND),
        RangeRequest(*ALL, sort_target=SortTarget.VERSION, sort_order=SortOrder.DESCEND),
        RangeRequest(*ALL, sort_order=SortOrder.DESCEND, limit=15, keys_only=True),
        RangeRequest(*ALL, sort_order=SortOrder.DESCEND, min_mod_revision=1_000),
    ],
)
def test_the_answer_is_the_same(whole: InParts, request_: RangeRequest) -> None:
    """Among them what is sorted by what many have in common: these stay in the order of their keys."""
    for number in range(0, KEYS, 3):
        whole.ask("KV/Put", PutRequest(b"k%02d" % number, b"%d" % (number % 2)))
    asked = whole.begin("KV/Range", request_)
    assert turns(whole, asked) >= 3
    assert asked.reply == at_once(whole, request_)


@pytest.mark.parametrize(
    "request_",
    [
        RangeRequest(b"k03"),
        RangeRequest(b"k03", b"k10"),
        RangeRequest(*ALL, limit=10),
        RangeRequest(*ALL, limit=9, sort_target=SortTarget.MOD),
        RangeRequest(*ALL, count_only=True),
        RangeRequest(b"k03", b"k10", sort_target=SortTarget.MOD),
        RangeRequest(b"k03", b"k10", min_mod_revision=3),
    ],
)
def test_what_is_small_takes_one_turn(whole: InParts, request_: RangeRequest) -> None:
    assert whole.ask("KV/Range", request_).status == OK


def test_over_grpc(whole: InParts) -> None:
    client = GrpcClient(whole.node)
    stream = client.call("KV/Range", RangeRequest(*ALL))
    for _ in range(20):
        whole.node.turn()
    assert client.statuses[stream] == OK
    assert client.answers[stream] == [at_once(whole, RangeRequest(*ALL))]


def test_in_json(whole: InParts) -> None:
    browser = Browser(whole.node)
    body = b'{"key":"AA==","range_end":"AA=="}'
    browser.send(b"POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    for _ in range(20):
        whole.node.turn()
    page = browser.raw.partition(b"\r\n\r\n")[2]
    assert page == to_json(at_once(whole, RangeRequest(*ALL)))
    assert len(from_json(RangeResponse, page).kvs) == KEYS


def test_what_is_written_meanwhile_is_not_seen(whole: InParts) -> None:
    before = at_once(whole, RangeRequest(*ALL))
    asked = whole.ask("KV/Range", RangeRequest(*ALL))
    for number in range(KEYS):
        whole.ask("KV/Put", PutRequest(b"k%02d" % number, b"new"))
        whole.ask("KV/Put", PutRequest(b"l%02d" % number, b"new"))
        whole.ask("KV/DeleteRange", DeleteRangeRequest(b"k%02d" % (22 - number)))
        if asked.status is not None:
            break
    assert asked.reply == before


def test_a_compaction_in_between_lets_it_begin_again(whole: InParts) -> None:
    asked = whole.ask("KV/Range", RangeRequest(*ALL))
    whole.ask("KV/Put", PutRequest(b"k00", b"new"))
    whole.ask("KV/Compact", CompactionRequest(KEYS + 2))
    assert asked.status is None
    turns(whole, asked)
    assert asked.reply.kvs[0].value == b"new"
    assert asked.reply.header.revision == KEYS + 2
    assert asked.reply == at_once(whole, RangeRequest(*ALL))


def test_who_is_overtaken_again_and_again_is_answered_all_the_same(
    whole: InParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_ranges, "SLICE", 1)
    asked = whole.ask("KV/Range", RangeRequest(*ALL))
    for number in range(large_ranges.RESTARTS_MOST):
        assert asked.status is None
        whole.ask("KV/Put", PutRequest(b"k00", b"%d" % number))
        whole.begin("KV/Compact", CompactionRequest(KEYS + 2 + number))
        whole.node.turn()
    assert turns(whole, asked) <= 1
    assert asked.reply.count == len(asked.reply.kvs) == KEYS


def test_who_asked_for_a_revision_that_is_compacted_meanwhile_is_told_so(whole: InParts) -> None:
    asked = whole.ask("KV/Range", RangeRequest(*ALL, revision=15))
    whole.ask("KV/Compact", CompactionRequest(KEYS))
    turns(whole, asked)
    assert asked.status == errors.COMPACTED


def test_what_begins_again_is_for_those_who_may_still_read_it(whole: InParts) -> None:
    asked = whole.ask("KV/Range", RangeRequest(*ALL))
    whole.ask("KV/Put", PutRequest(b"k00", b"not for everybody"))
    whole.node.replica.etcd.may_read = lambda call, key, range_end: errors.PERMISSION_DENIED
    whole.ask("KV/Compact", CompactionRequest(KEYS + 2))
    turns(whole, asked)
    assert asked.status == errors.PERMISSION_DENIED


def test_a_client_that_goes_away_holds_nobody_up(whole: InParts) -> None:
    gone, stays = whole.ask("KV/Range", RangeRequest(*ALL)), whole.ask("KV/Range", RangeRequest(*ALL))
    gone.call.abandoned()
    turns(whole, stays)
    assert stays.reply.count == KEYS
    assert gone.messages == []


def test_one_after_the_other(whole: InParts) -> None:
    asked = [whole.begin("KV/Range", RangeRequest(*ALL)) for _ in range(3)]
    taken = [turns(whole, one) for one in asked]
    assert min(taken) >= 3
    assert all(one.reply == asked[0].reply for one in asked)


def test_many_ranges_at_once_are_made_over_several_turns(
    whole: InParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two dozen clients that listed nine thousand keys each at the same moment had kept a leader silent for
    so long that another was elected; and so again, whenever they came back."""
    monkeypatch.setattr(large_ranges, "KEYS_PER_TURN", 20)
    whole.node.turn()
    range_of_9 = RangeRequest(b"k10", b"k19", serializable=True)
    asked = [whole.begin("KV/Range", range_of_9) for _ in range(7)]
    asked.append(whole.begin("KV/Range", RangeRequest(b"k10", serializable=True)))
    asked[4].call.abandoned()
    answered = []
    for _ in range(4):
        answered.append([number for number, each in enumerate(asked) if each.status is not None])
        whole.node.turn()
    assert answered == [[0, 1, 7], [0, 1, 7], [0, 1, 2, 3, 7], [0, 1, 2, 3, 5, 6, 7]]
    assert {each.reply.count for each in (*asked[:4], *asked[5:7])} == {9}


def test_what_is_sorted_is_sorted_as_it_was_when_it_was_read(whole: InParts) -> None:
    request = RangeRequest(*ALL, sort_target=SortTarget.MOD, sort_order=SortOrder.DESCEND)
    before = at_once(whole, request)
    asked = whole.ask("KV/Range", request)
    for number in range(KEYS):
        whole.ask("KV/Put", PutRequest(b"k%02d" % number, b"new"))
        if number == 10:  # all is read, and nothing written yet
            whole.ask("KV/Compact", CompactionRequest(KEYS + 5))
    assert asked.reply == before


def test_what_is_sorted_begins_again_where_a_compaction_overtakes_the_reading(whole: InParts) -> None:
    asked = whole.ask("KV/Range", RangeRequest(*ALL, sort_target=SortTarget.MOD))
    whole.ask("KV/Put", PutRequest(b"k00", b"new"))
    whole.ask("KV/Compact", CompactionRequest(KEYS + 2))
    turns(whole, asked)
    assert asked.reply.kvs[-1].value == b"new"
    assert asked.reply == at_once(whole, RangeRequest(*ALL, sort_target=SortTarget.MOD))


def test_what_waits_for_its_turn_is_for_those_who_may_still_read_it(
    whole: InParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_ranges, "KEYS_PER_TURN", 8)
    whole.node.turn()
    first, second = (whole.begin("KV/Range", RangeRequest(b"k10", b"k19", serializable=True)) for _ in "12")
    whole.node.replica.etcd.may_read = lambda call, key, range_end: errors.PERMISSION_DENIED
    turns(whole, second)
    assert (first.status, second.status) == (OK, errors.PERMISSION_DENIED)
