"""JSON as etcd's gateway writes and reads it; the sentences about what is broken are Go's, word for word."""

from __future__ import annotations

import json

import msgspec
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.errors import MalformedInput
from agreed.wire.etcd import json_mapping, json_syntax
from agreed.wire.etcd.json_mapping import from_json, to_json
from agreed.wire.etcd.json_syntax import Values, syntax_error
from agreed.wire.etcd.messages import (
    AuthenticateRequest,
    Compare,
    CompareTarget,
    Event,
    EventType,
    HashKVResponse,
    KeyValue,
    LeaseGrantRequest,
    Member,
    PutRequest,
    RangeRequest,
    RangeResponse,
    RequestOp,
    ResponseHeader,
    SortOrder,
    SortTarget,
    TxnRequest,
    TxnResponse,
    WatchResponse,
)
from agreed.wire.etcd.messages.fields import fields_of
from tests.wire.etcd.oracle import KINDS, from_oracle, messages_of, oracle_type, to_oracle


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            RangeResponse(
                ResponseHeader(14841639068965178418, 10276657743932975437, 3, 2),
                (KeyValue(b"foo", 2, 3, 2, b"bar"),),
                count=1,
            ),
            '{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"3",'
            '"raft_term":"2"},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"3","version":"2",'
            '"value":"YmFy"}],"count":"1"}',
        ),
        (RangeResponse(), "{}"),
        (TxnResponse(ResponseHeader(), succeeded=True), '{"header":{},"succeeded":true}'),
        (HashKVResponse(hash=7, compact_revision=8), '{"hash":7,"compact_revision":"8"}'),
        (WatchResponse(watch_id=-1, cancel_reason="a<b"), '{"watch_id":"-1","cancel_reason":"a\\u003cb"}'),
        (Event(EventType.DELETE, KeyValue(b"k")), '{"type":"DELETE","kv":{"key":"aw=="}}'),
        (Member(peerURLs=("http://a", "b")), '{"peerURLs":["http://a","b"]}'),
        (RangeRequest(sort_order=9), '{"sort_order":9}'),
        (Compare(version=0), '{"version":"0"}'),
    ],
)
def test_written(message: msgspec.Struct, text: str) -> None:
    assert to_json(message).decode() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", RangeRequest()),
        ("null", RangeRequest()),
        ("  {} what comes after is not looked at", RangeRequest()),
        ('{"key":"Zm9v","rangeEnd":"Zm9w","keysOnly":true}', RangeRequest(b"foo", b"fop", keys_only=True)),
        ('{"key":null,"nobody_knows":{"this":[1]}}', RangeRequest()),
        (
            '{"sort_order":"DESCEND","sort_target":3,"limit":"-1","revision":7}',
            RangeRequest(limit=-1, revision=7, sort_order=SortOrder.DESCEND, sort_target=SortTarget.MOD),
        ),
        ('{"sort_order":77}', RangeRequest(sort_order=77)),
        ('{"key":"_-8","range_end":"/+8="}', RangeRequest(b"\xff\xef", b"\xff\xef")),
    ],
)
def test_read(text: str, message: RangeRequest) -> None:
    assert from_json(RangeRequest, text.encode()) == message


def test_a_transaction_in_both_spellings() -> None:
    snake = b'{"compare":[{"target":"CREATE","key":"Zm9v","create_revision":"0"}],"success":[{}]}'
    camel = b'{"compare":[{"target":2,"key":"Zm9v","createRevision":0}],"success":[{"requestPut":{}}]}'
    whole = TxnRequest(
        (Compare(target=CompareTarget.MOD, key=b"foo", create_revision=0),),
        (RequestOp(request_put=PutRequest()),),
    )
    assert from_json(TxnRequest, camel) == whole
    assert from_json(TxnRequest, snake).compare[0].target == CompareTarget.CREATE
    assert from_json(LeaseGrantRequest, b'{"TTL":"60","ID":0}') == LeaseGrantRequest(60)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("notjson", "invalid character 'o' in literal null (expecting 'u')"),
        ('{"key":"***"}', "illegal base64 data at input byte 0"),
        ('{"key":"Zm*v"}', "illegal base64 data at input byte 2"),
        ('{"key":5}', "json: cannot unmarshal number into Go value of type []uint8"),
        ('{"key":', "unexpected EOF"),
        ('{"key" "x"}', "invalid character '\"' after object key"),
        ("{'key'}", "invalid character '\\'' looking for beginning of object key string"),
        ('{"a":1]', "invalid character ']' after object key:value pair"),
        ('{"a":[1}', "invalid character '}' after array element"),
        ('{"a":"\\x"}', "invalid character 'x' in string escape code"),
        ('{"a":"\\u00g0"}', "invalid character 'g' in \\u hexadecimal character escape"),
        ('{"a":"\n"}', "invalid character '\\n' in string literal"),
        ('{"a":-x}', "invalid character 'x' in numeric literal"),
        ('{"a":1.x}', "invalid character 'x' after decimal point in numeric literal"),
        ('{"a":1ex}', "invalid character 'x' in exponent of numeric literal"),
        ('{"a":NaN}', "invalid character 'N' looking for beginning of value"),
        ("<xml>", "invalid character '<' looking for beginning of value"),
        ('{"limit":1.5}', "json: cannot unmarshal number 1.5 into Go value of type int64"),
        ('{"limit":99999999999999999999}',
         "json: cannot unmarshal number 99999999999999999999 into Go value of type int64"),
        ('{"limit":"x"}', "invalid character 'x' looking for beginning of value"),
        ('{"limit":true}', "json: cannot unmarshal bool into Go value of type int64"),
        ('{"serializable":"true"}', "json: cannot unmarshal string into Go value of type bool"),
        ('{"sort_order":"UP"}', 'unknown value "\\"UP\\"" for enum etcdserverpb.RangeRequest.SortOrder'),
        ('{"sort_order":[]}', "json: cannot unmarshal array into Go value of type protoreflect.EnumNumber"),
        ('{"key":"Zm9v="}', "illegal base64 data at input byte 4"),
        ('{"key":"Zm9vYg="}', "illegal base64 data at input byte 7"),
        ('{"key":"Zm9vY==="}', "illegal base64 data at input byte 5"),
        ('{"key":"Zg==Zg=="}', "illegal base64 data at input byte 4"),
        ('{"key":"Zm9vY"}', "illegal base64 data at input byte 4"),
        ('{"limit":"007"}', "invalid character '0' after top-level value"),
        ('{"limit":""}', "unexpected end of JSON input"),
        ("\u00e9", "invalid character '\u00c3' looking for beginning of value"),
        ("[]", "json: cannot unmarshal array into Go value of type map[string]json.RawMessage"),
        ("[" * 200_000, "exceeded max depth"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_in_gos_words(text: str, sentence: str) -> None:
    with pytest.raises(MalformedInput) as refused:
        from_json(RangeRequest, text.encode())
    assert str(refused.value) == sentence


def test_a_long_text_is_not_explained_at_length() -> None:
    with pytest.raises(MalformedInput, match="line 1 column"):
        from_json(RangeRequest, b'{"a":[' + b"1," * 100_000 + b"x]}")
    with pytest.raises(MalformedInput, match="more than 50000 objects"):
        from_json(TxnRequest, b'{"compare":[' + b"{}," * 100_000 + b"{}]}")


def test_half_a_character_is_none() -> None:
    assert from_json(AuthenticateRequest, b'{"name":"a\\ud800b"}').name == "a\ufffdb"
    assert from_json(AuthenticateRequest, b'{"name":"\\ud83d\\ude00"}').name == "\U0001f600"


@settings(max_examples=200)
@given(st.sampled_from(KINDS).flatmap(messages_of))
def test_google_reads_what_we_write_and_we_read_what_google_writes(message: msgspec.Struct) -> None:
    kind = type(message)
    spelled = json.dumps(_without_enum_prefix(json_format.MessageToDict(to_oracle(message))))
    assert from_json(kind, spelled.encode()) == message
    assert from_json(kind, to_json(message)) == message
    if not _holds_enumerations(kind):
        assert from_oracle(json_format.Parse(to_json(message), oracle_type(kind)()), kind) == message


def _holds_enumerations(kind: type[msgspec.Struct], above: frozenset[object] = frozenset()) -> bool:
    return any(
        field.enumeration or (field.message and field.message not in above
                              and _holds_enumerations(field.message, above | {kind}))
        for field in fields_of(kind)
    )  # fmt: skip


_ENUMERATIONS = {
    field.enumeration.__name__ for kind in KINDS for field in fields_of(kind) if field.enumeration is not None
}


def _without_enum_prefix(value: object) -> object:
    """The oracle's enumerations have their own name before each member's, as one package must have."""
    if isinstance(value, dict):
        return {key: _without_enum_prefix(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_enum_prefix(inner) for inner in value]
    if isinstance(value, str) and value.partition("_")[0] in _ENUMERATIONS:
        return value.partition("_")[2]
    return value


@settings(max_examples=300)
@given(st.text(alphabet='{}[]":,\\untrefalsx0123.-+ \n', max_size=30))
def test_there_is_a_sentence_for_all_that_python_refuses(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        try:
            from_json(RangeRequest, text.encode())
        except MalformedInput as refused:
            assert str(refused)  # noqa: PT017
    else:
        assert syntax_error(text) is None


def test_a_body_of_several_values_in_any_pieces() -> None:
    texts = [b'{"ID":77}', b'{"a":"}{\\"]\\\\"}', b"{}", b"null", b'"x\\""', b"-5", b'[{"c":{}}]']
    body = b" \n".join(texts)
    for size in (1, 2, 3, 5, 100):
        values = Values(100)
        found = [one for at in range(0, len(body), size) for one in values.feed(body[at : at + size])]
        assert found == texts
        assert values.rest() == b""


def test_each_byte_of_a_word_without_end_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It had been looked for from its beginning with each piece: four megabytes in pieces of one byte would
    have taken hours."""
    looked_at = 0

    class Pattern:
        def search(self, data: bytearray, begin: int) -> None:
            nonlocal looked_at
            looked_at += len(data) - begin

    monkeypatch.setattr(json_syntax, "_AFTER_WORD", Pattern())
    values = Values(1_000)
    for _ in range(1_000):
        assert not list(values.feed(b"1"))
    assert looked_at <= 1_000


def test_a_number_of_a_million_digits_is_not_explained() -> None:
    long = b'{"limit":"%s"}' % (b"1" * (json_mapping.EXPLAINED_BYTES + 1))
    with pytest.raises(MalformedInput, match="digits"):
        from_json(RangeRequest, long)


def test_a_value_without_end_is_refused() -> None:
    values = Values(100)
    with pytest.raises(MalformedInput):
        for _ in range(200):
            list(values.feed(b'{"a":'))
    with pytest.raises(MalformedInput, match="looking for beginning of value"):
        from_json(RangeRequest, next(Values(100).feed(b"} ")))
    unfinished = Values(100)
    assert list(unfinished.feed(b'{"a":1} {"b"')) == [b'{"a":1}']
    assert unfinished.rest() == b'{"b"'


def test_of_a_union_one_member_is_set_whatever_is_given() -> None:
    """The last one in the order of the fields: nothing that is done later has to ask which one counts."""
    both = b'{"requestPut":{"key":"YQ=="},"requestRange":{"key":"Yg=="}}'
    assert from_json(RequestOp, both) == RequestOp(request_put=PutRequest(b"a"))


@pytest.mark.parametrize("number", [b"9223372036854775808", b"-9223372036854775809"])
def test_numbers_end_where_the_messages_of_protobuf_end(number: bytes) -> None:
    """One more, and neither the log nor an answer could hold it."""
    for written in (number, b'"' + number + b'"'):
        with pytest.raises(MalformedInput):
            from_json(LeaseGrantRequest, b'{"ID":' + written + b"}")
    assert from_json(LeaseGrantRequest, b'{"ID":"9223372036854775807"}').ID == 2**63 - 1
