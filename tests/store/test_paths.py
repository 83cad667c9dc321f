"""Which paths could name a key."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.store.paths import name_of, parent_of, valid_name, valid_path
from tests.store.naive import sane

GOOD = [
    *(b"/", b"/a", b"/a/b", b"/a b", b"/...", b"/.a", b"/a.", b"/~"),
    *(text.encode() for text in ("/\u00e4", "/\u00a0", "/\ud7ff", "/\uf900", "/\uffef")),
]
BAD = {
    b"": "no slash",
    b"a": "no slash at the beginning",
    b"a/b": "no slash at the beginning",
    b"/a/": "a slash at the end",
    b"//": "an empty name",
    b"//a": "an empty name",
    b"/a//b": "an empty name",
    b"/.": "a relative name",
    b"/a/..": "a relative name",
    b"/./a": "a relative name",
    b"/a\0": "U+0000",
    b"/\x1f": "a control character",
    b"/\x7f": "a control character",
    "/\u009f".encode(): "a control character",
    "/\ue000".encode(): "private use",
    "/\uf8ff".encode(): "private use",
    "/\ufff0".encode(): "specials",
    "/\U0001f600".encode(): "two surrogates, for a server in Java",
    b"/\xed\xa0\x80": "a surrogate",
    b"/\xff": "no UTF-8: U+FFFD for a server in Java",
}


@pytest.mark.parametrize("path", GOOD)
def test_valid(path: bytes) -> None:
    assert valid_path(path)


@pytest.mark.parametrize("path", BAD, ids=lambda path: repr(path))
def test_invalid(path: bytes) -> None:
    assert not valid_path(path)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6))
def test_one_character_at_a_time_says_the_same(text: str) -> None:
    path = "/" + text
    assert valid_path(path.encode()) == sane(path)


@given(st.binary(min_size=1, max_size=4), st.binary(min_size=1, max_size=4))
def test_a_valid_path_is_a_valid_parent_and_a_valid_name(above: bytes, name: bytes) -> None:
    path = b"/" + above + b"/" + name
    if valid_path(path):
        assert valid_path(parent_of(path))
        assert valid_name(name_of(path))
        assert parent_of(path) + b"/" + name_of(path) == path


def test_the_root_is_the_parent_of_what_is_directly_below() -> None:
    assert (parent_of(b"/a"), name_of(b"/a")) == (b"/", b"a")
    assert (parent_of(b"/a/b"), name_of(b"/a/b")) == (b"/a", b"b")
