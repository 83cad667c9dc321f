"""Our own format: one operation or fault on a line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.check.history import Fault, History, Operation, Status, history
from agreed.check.read import jsonlines
from agreed.errors import MalformedInput

LINE = '{"process": "a", "function": "read", "called": 1, "returned": 2, "status": "ok"}'


def test_a_line_is_an_operation() -> None:
    told = jsonlines.read(
        '{"index": 7, "process": 3, "function": "cas", "argument": [1, 2], "called": 12, "returned": 19,'
        ' "status": "ok", "result": false, "key": ["x"], "revision": 17}\n'
        "\n"
        '{"index": 9, "process": 4, "function": "write", "argument": 5, "called": 13, "status": "info",'
        ' "error": "connection lost", "returned": 99}\n'
        '{"fault": "partition", "began": 11, "ended": 90, "detail": "n1 | n2 n3"}\n'
    )
    assert told == History(
        (
            Operation(7, 3, "cas", [1, 2], False, 12, 19, Status.OK, key=("x",), revision=17),
            Operation(9, 4, "write", 5, None, 13, None, Status.INFO, error="connection lost"),
        ),
        (Fault("partition", 11, 90, "n1 | n2 n3"),),
    )


def test_lines_without_a_number_are_numbered() -> None:
    assert [each.index for each in jsonlines.read(LINE + "\n" + LINE.replace('"a"', '"b"'))] == [0, 1]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def histories(draw: Any) -> History:
    operations = []
    for number in range(draw(st.integers(0, 5))):
        status = draw(st.sampled_from(Status))
        called = draw(st.integers(0, 100))
        operations.append(
            Operation(
                index=number,
                process=draw(st.sampled_from([number, f"client {number}"])),
                function=draw(st.text(max_size=5)),
                argument=draw(VALUES),
                result=draw(VALUES) if status is Status.OK else None,
                called=called,
                returned=None if status is Status.INFO else called + draw(st.integers(0, 50)),
                status=status,
                key=draw(st.none() | st.text(max_size=3) | st.integers(-5, 5)),
                revision=draw(st.none() | st.integers(0, 2**63 - 1)),
                error=draw(st.none() | st.text(max_size=5)),
            )
        )
    faults = draw(st.lists(st.builds(Fault, st.text(), st.integers(0, 9), st.none() | st.integers(10, 99))))
    return history(operations, faults)


@settings(max_examples=100)
@given(histories())
def test_what_is_written_is_read(told: History) -> None:
    assert jsonlines.read(jsonlines.write(told)) == told


def test_kinds_that_json_does_not_have() -> None:
    operation = Operation(0, 0, "f", (1, {3, 2}), b"text", 0, 1, Status.OK)
    (told,) = jsonlines.read(jsonlines.line(operation))
    assert (told.argument, told.result) == ([1, [2, 3]], "text")
    (told,) = jsonlines.read(jsonlines.line(Operation(0, 0, "f", {1: 2}, b"\xff", 0, 1, Status.OK)))
    assert (told.argument, told.result) == ({"1": 2}, {"base64": "/w=="})
    with pytest.raises(MalformedInput, match="cannot be written as JSON"):
        jsonlines.line(Operation(0, 0, "f", object(), None, 0, 1, Status.OK))


WRONG = {
    "line 1: ": "{",
    "line 2: ": LINE + "\n[]",
    "line 1: Object contains unknown field `colour`": '{"colour": "red"}',
    "line 1: 'status' is missing": '{"process": 1}',
    "line 1: 'process' is missing": LINE.replace('"process": "a", ', ""),
    "line 1: 'called' is missing": LINE.replace('"called": 1, ', ""),
    "line 1: 'function' is missing": LINE.replace('"function": "read", ', ""),
    "line 1: 'began' is missing": '{"fault": "kill"}',
    "line 1: the status is 'done'": LINE.replace('"ok"', '"done"'),
    "line 1: Expected `int | null`, got `str`": LINE.replace('"called": 1', '"called": "1"'),
    "two operations have the number 0": "\n".join([LINE.replace("{", '{"index": 0, ')] * 2),
    "operation 0 is ok, and never returned": LINE.replace('"returned": 2, ', ""),
    "operation 0 returns before it is called": LINE.replace('"returned": 2', '"returned": 0'),
    "process a calls operation 1 while another is under way": LINE + "\n" + LINE,
    "line 1: .*too deep": LINE.replace('"read"', '"read", "argument": ' + "[" * 100_000 + "]" * 100_000),
}


@pytest.mark.parametrize("complaint", WRONG)
def test_what_is_no_history_is_refused_with_its_line(complaint: str) -> None:
    with pytest.raises(MalformedInput, match=complaint):
        jsonlines.read(WRONG[complaint])


@settings(max_examples=200)
@given(st.data())
def test_a_broken_line_is_refused_or_still_a_history(data: st.DataObject) -> None:
    text = LINE.replace("}", ', "index": 3, "argument": [1, {"a": null}], "key": "x"}') + "\n"
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 6)))
    put_in = data.draw(st.text(st.sampled_from('{}[]",:0-1.enull\\u "\n'), max_size=6))
    broken = text[:begin] + put_in + text[end:]
    try:
        told = jsonlines.read(broken)
    except MalformedInput:
        return
    assert isinstance(told, History)
