"""EDN, as Clojure programs write it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.check.read import edn
from agreed.errors import MalformedInput

READ = {
    "": [],
    "nil true false": [None, True, False],
    "12 -3 +4 5N": [12, -3, 4, 5],
    "1.5 -2e3 4.5M": [1.5, -2000.0, 4.5],
    '"text" "a \\"quoted\\" one" "\\n\\t\\u0041"': ["text", 'a "quoted" one', "\n\tA"],
    "\\a \\newline \\space": ["a", "\n", " "],
    ":keyword :name/space symbol": ["keyword", "name/space", "symbol"],
    "(1 2) [3 [4]]": [[1, 2], [3, [4]]],
    "{:a 1, :b [2]}": [{"a": 1, "b": [2]}],
    "{[1 2] 3}": [{(1, 2): 3}],
    "#{1 [2]}": [frozenset({1, (2,)})],
    "1 ; a comment\n2": [1, 2],
    "1 #_ 2 3 #_ [4 5] 6": [1, 3, 6],
    "#_ #_ 1 2 3": [3],
    '#inst "2015" #jepsen.history.Op{:a 1}': ["2015", {"a": 1}],
    '"\\ud83d\\ude00"': ["\U0001f600"],
}


@pytest.mark.parametrize("text", READ)
def test_it_is_read(text: str) -> None:
    assert edn.values(text) == READ[text]


WRONG = {
    "[1 2": r"line 1: \[ is never closed",
    "\n\n1 ]": r"line 3: \] closes nothing",
    "[1 )": r"line 1: \) closes nothing",
    "{:a}": "line 1: a map with a key that has no value",
    '"never closed': "line 1: '\"' begins nothing",
    "[1 #_]": "line 1: nothing to discard",
    "##NaN": "'#' begins nothing",
    '"\\ud800"': "half of a character",
    "9" * 5000: "digits",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named_with_its_line(text: str) -> None:
    with pytest.raises(MalformedInput, match=WRONG[text]):
        edn.values(text)


def test_no_depth_is_too_deep_to_be_read() -> None:
    (value,) = edn.values("[" * 50_000 + "]" * 50_000)
    depth = 1
    while value:
        (value,) = value
        depth += 1
    assert depth == 50_000


def test_what_is_hashed_is_refused_where_it_is_too_deep() -> None:
    with pytest.raises(MalformedInput, match="too deep"):
        edn.values("#{" + "[" * 50_000 + "]" * 50_000 + "}")


def written(value: Any) -> str:
    """The value as EDN."""
    match value:
        case None | bool():
            return {None: "nil", True: "true", False: "false"}[value]
        case int() | float():
            return repr(value)
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case dict():
            return "{" + ", ".join(f"{written(key)} {written(each)}" for key, each in value.items()) + "}"
        case frozenset():
            return "#{" + " ".join(written(each) for each in value) + "}"
    return "[" + " ".join(written(each) for each in value) + "]"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXTS, inner, max_size=3)
        | st.frozensets(st.integers() | TEXTS, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.lists(VALUES, max_size=3))
def test_what_is_written_is_read(values: list[Any]) -> None:
    assert edn.values("\n".join(written(each) for each in values)) == values


@settings(max_examples=300)
@given(st.text(st.sampled_from('[](){}#_":\\;,. \nnil1-N.eMu0d8a'), max_size=40))
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        edn.values(text)
    except MalformedInput:
        pass
