"""Jepsen's histories: two maps for each operation, as EDN or JSON."""
from __future__ import annotations

import json
from typing import Any

import pytest

from agreed.check.history import Fault, History, Operation, Status
from agreed.check.read import Format, edn, history
from agreed.check.read.jepsen import FAILED, from_maps, read_edn, read_json
from agreed.errors import MalformedInput

STORY = """
{:process 0, :type :invoke, :f :write, :value 1, :time 10, :index 0}
{:process 1, :type :invoke, :f :read, :value nil, :time 20}
{:process 0, :type :ok, :f :write, :value 1, :time 30}
{:process 1, :type :ok, :f :read, :value 1, :time 40}
"""


def test_a_call_and_a_return_are_an_operation() -> None:
    assert read_edn(STORY).operations == (
        Operation(0, 0, "write", 1, 1, 10, 30, Status.OK),
        Operation(1, 1, "read", None, 1, 20, 40, Status.OK),
    )


@pytest.mark.parametrize("form", ["[%s]", "(%s)", "%s"])
def test_in_one_collection_or_line_by_line(form: str) -> None:
    assert read_edn(form % STORY) == read_edn(STORY)


def test_json_says_the_same() -> None:
    maps = edn.values(STORY)
    lines = "\n".join(json.dumps(each) for each in maps)
    assert read_json(json.dumps(maps)) == read_json(lines) == read_edn(STORY)
    assert history(lines) == history(json.dumps(maps)) == history(STORY)


def maps(*said: str) -> History:
    """`3 invoke write 1` as a map each; the value is Python's."""
    found: list[dict[str, Any]] = []
    for each in said:
        process, kind, function, *value = each.split(" ", 3)
        told: dict[str, Any] = {"process": int(process) if process.isdigit() else process}
        told |= {"type": kind, "f": function, "value": json.loads(value[0]) if value else None}
        found.append(told)
    return from_maps(found)


def test_who_was_never_answered_may_have_done_it() -> None:
    """An `info`, and an end without any."""
    for told in (maps("0 invoke write 1", "0 info write 1"), maps("0 invoke write 1")):
        (operation,) = told
        assert (operation.status, operation.returned, operation.result) == (Status.INFO, None, None)


def test_a_failure_did_not_happen_and_gives_no_reason() -> None:
    """So no model takes it for a compare-and-set that was refused."""
    (operation,) = maps("0 invoke cas [1, 2]", "0 fail cas [1, 2]")
    assert (operation.status, operation.error) == (Status.FAIL, FAILED)
    (operation,) = from_maps(
        [
            {"process": 0, "type": "invoke", "f": "cas", "value": [1, 2]},
            {"process": 0, "type": "fail", "f": "cas", "value": [1, 2], "error": ["timeout", 5]},
        ]
    )
    assert operation.error == "['timeout', 5]"


def test_where_failures_have_reasons_they_are_answers() -> None:
    told = [
        {"process": 0, "type": "invoke", "f": "cas", "value": [1, 2]},
        {"process": 0, "type": "fail", "f": "cas", "value": [1, 2]},
    ]
    (operation,) = from_maps(told, failures_have_reasons=True)
    assert operation.error is None


def test_a_process_that_goes_on_after_an_info_is_another_one() -> None:
    told = maps("0 invoke write 1", "0 info write 1", "0 invoke write 2", "0 info write 2", "0 invoke read")
    assert [each.process for each in told] == [0, "0 (2)", "0 (3)"]


def test_times_are_kept_where_they_follow_the_order_of_the_file() -> None:
    told = from_maps(
        [
            {"process": 0, "type": "invoke", "f": "read", "time": 100},
            {"process": 1, "type": "invoke", "f": "read", "time": 90},
            {"process": 0, "type": "ok", "f": "read", "time": 100},
            {"process": 1, "type": "ok", "f": "read", "time": 500},
        ]
    )
    assert [(each.called, each.returned) for each in told] == [(100, 102), (101, 500)]


def test_what_is_no_client_breaks_things() -> None:
    told = from_maps(
        [
            {"process": "nemesis", "type": "info", "f": "start", "value": None, "time": 10},
            {"process": "nemesis", "type": "info", "f": "start", "value": "cut off n1", "time": 20},
            {"process": "nemesis", "type": "info", "f": "stop", "time": 30},
            {"process": "nemesis", "type": "info", "f": "stop", "time": 40},
            {"process": "nemesis", "type": "info", "f": "start-clock", "value": 5, "time": 50},
            {"process": "nemesis", "type": "info", "f": "kill", "time": 60},
            {"process": "nemesis", "type": "info", "f": "kill", "value": "n2", "time": 70},
            {"process": "nemesis", "type": "info", "f": "stop-pause", "time": 80},
        ]
    )
    assert told.faults == (
        Fault("fault", 10, 40, "cut off n1"),
        Fault("clock", 50, None, "5"),
        Fault("kill", 60, 70, "n2"),
    )
    assert len(told) == 0


def test_without_processes_a_completion_belongs_to_the_oldest_call_that_it_fits() -> None:
    told = from_maps(
        [
            {"type": "invoke", "value": [["r", "x", None], ["append", "x", 1]]},
            {"type": "invoke", "value": [["append", "x", 2]]},
            {"type": "ok", "value": [["append", "x", 2]]},
            {"type": "ok", "value": [["r", "x", [2]], ["append", "x", 1]]},
        ]
    )
    assert [(each.called, each.returned, each.function) for each in told] == [(0, 3, "txn"), (1, 2, "txn")]


def test_keys_are_told_or_are_the_first_of_the_value() -> None:
    (operation,) = from_maps(
        [
            {"process": 0, "type": "invoke", "f": "put", "key": "k", "value": "x"},
            {"process": 0, "type": "ok", "f": "put", "key": "k", "value": "x"},
        ]
    )
    assert (operation.key, operation.argument) == ("k", "x")
    (operation,) = history(
        "{:process 0, :type :invoke, :f :write, :value [[7] 1]}", format=Format.JEPSEN_EDN, independent=True
    )
    assert (operation.key, operation.argument) == ((7,), 1)


WRONG: dict[str, list[Any]] = {
    "entry 0 is no map": [7],
    "entry 0 is of type 'done'": [{"process": 0, "type": "done", "f": "read"}],
    "entry 0 is of type None": [{"process": 0, "f": "read"}],
    r"entry 0 is of type \['ok'\]": [{"process": 0, "type": ["ok"], "f": "read"}],
    "entry 0 has the function 7": [{"process": 0, "type": "invoke", "f": 7}],
    "entry 0 completes what was not invoked": [{"process": 0, "type": "ok", "f": "read"}],
    "process 0 invokes read while another is under way": [
        {"process": 0, "type": "invoke", "f": "write", "value": 1},
        {"process": 0, "type": "invoke", "f": "read"},
    ],
}


@pytest.mark.parametrize("complaint", WRONG)
def test_what_is_no_history_is_refused(complaint: str) -> None:
    with pytest.raises(MalformedInput, match=complaint):
        from_maps(WRONG[complaint])


def test_what_is_no_pair_is_not_independent() -> None:
    with pytest.raises(MalformedInput, match="entry 0 has the value 7, not a key and a value"):
        from_maps([{"process": 0, "type": "invoke", "f": "write", "value": 7}], independent=True)


@pytest.mark.parametrize("text", ["[1", "[{]", '{"a": }', '[{"type": "invoke"', "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(MalformedInput):
        read_json(text)
