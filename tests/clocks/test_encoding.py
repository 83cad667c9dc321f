"""Version vectors as bytes: there and back, one form only, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agreed.clocks import Siblings, VersionVector
from agreed.clocks.encoding import decode, decode_siblings, encode, encode_siblings
from agreed.clocks.version import COUNTER_MOST
from agreed.errors import MalformedInput

"""On a machine that is busy with something else an example may take any time."""

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
VECTORS = st.builds(
    VersionVector.of,
    st.one_of(
        st.dictionaries(NAMES, st.integers(0, COUNTER_MOST), max_size=6),
        st.dictionaries(NAMES, st.integers(1_000_000, 1_000_300), max_size=6),
        st.dictionaries(NAMES, st.just(COUNTER_MOST), max_size=6),
    ),
)


@given(VECTORS, VECTORS)
def test_there_and_back(vector: VersionVector, known: VersionVector) -> None:
    data = encode(vector)
    assert decode(data) == vector
    assert decode(data, known) == vector
    assert decode(data, vector).roster is vector.roster


@given(st.binary(max_size=60), VECTORS)
@example(b"\x01\x01a\x01\x00", VersionVector())
def test_any_bytes_are_the_form_of_a_vector_or_refused(data: bytes, known: VersionVector) -> None:
    for beside in (None, known):
        try:
            vector = decode(data, beside)
        except MalformedInput:
            continue
        assert encode(vector) == data, "there is one form only"


@given(VECTORS, st.data())
def test_a_changed_byte_is_another_vector_or_refused(vector: VersionVector, data: st.DataObject) -> None:
    encoded = bytearray(encode(vector))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    for beside in (None, vector):
        try:
            changed = decode(bytes(encoded), beside)
        except MalformedInput:
            continue
        assert changed != vector
        assert encode(changed) == encoded


@given(VECTORS, st.data())
def test_a_part_is_refused(vector: VersionVector, data: st.DataObject) -> None:
    encoded = encode(vector)
    size = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(MalformedInput):
        decode(encoded[:size])
    with pytest.raises(MalformedInput):
        decode(encoded + b"\0")


REFUSED = [
    ("nothing", "", "ends within a number"),
    ("a number that does not end", "80", "ends within a number"),
    ("a number of ten bytes", "80808080808080808001", "more than 63 bits"),
    ("a longer form of 0", "8000", "not in its shortest form"),
    ("more nodes than there are bytes", "ffffffff7f", "nodes in 5 bytes"),
    ("an empty name", "01 00 01 00", "a name is empty"),
    ("a name that ends too early", "01 05 6161", "ends within a name"),
    ("a name that is not UTF-8", "01 01 ff 01 00", "not UTF-8"),
    ("names that go back", "02 0101 62 61 01 00", "not in order"),
    ("a name twice", "02 0101 61 61 01 00", "not in order"),
    ("no width", "01 01 61 01", "no width"),
    ("a width of 3", "01 01 61 01 03 000000", "no width"),
    ("too few counters", "02 0101 61 62 01 01 00", "2 counters of 1 bytes"),
    ("a counter of 0", "01 01 61 00 00", "from 1 to"),
    ("a counter of 2^63", "02 0101 61 62 ffffffffffffffff7f 01 00 01", "from 1 to"),
    ("a least counter that none is", "02 0101 61 62 01 01 01 02", "shortest form"),
    ("counters wider than they need", "02 0101 61 62 01 02 0000 0100", "shortest form"),
    ("a width where all are equal", "02 0101 61 62 01 01 00 00", "shortest form"),
    ("bytes after nothing", "00 00", "bytes after"),
]


@pytest.mark.parametrize(("what", "data", "reason"), REFUSED)
def test_what_is_refused(what: str, data: str, reason: str) -> None:
    with pytest.raises(MalformedInput, match=reason):
        decode(bytes.fromhex(data))


def test_how_long_it_is() -> None:
    """Three nodes that have done about as much: a byte each, beside their names."""
    vector = VersionVector.of({"n1": 1_000_000, "n2": 1_000_007, "n3": 999_990})
    assert encode(vector).hex(" ") == "03 02 02 02 6e 31 6e 32 6e 33 b6 84 3d 01 0a 11 00"
    assert encode(VersionVector()) == b"\0"


@pytest.mark.parametrize("name", ["", "ö" * 128])
def test_a_name_that_does_not_fit_is_the_callers_mistake(name: str) -> None:
    with pytest.raises(ValueError, match="the name of a node has"):
        encode(VersionVector.of({name: 1}))


# --- siblings ---------------------------------------------------------------------------------------------

ACTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans(), st.binary(max_size=4)), max_size=12
)


def siblings_of(acts: list[tuple[int, int, bool, bytes]]) -> list[Siblings[bytes]]:
    held: list[Siblings[bytes]] = [Siblings(), Siblings(), Siblings()]
    for one, other, writes, value in acts:
        if writes:
            held[one] = held[one].put(value, held[other].context, f"n{one}")
        else:
            held[one] = held[one].merge(held[other])
    return held


@given(ACTS)
def test_siblings_there_and_back(acts: list[tuple[int, int, bool, bytes]]) -> None:
    for held in siblings_of(acts):
        assert decode_siblings(encode_siblings(held)) == held


@given(ACTS, st.data())
def test_changed_siblings_are_others_or_refused(
    acts: list[tuple[int, int, bool, bytes]], data: st.DataObject
) -> None:
    held = siblings_of(acts)[0]
    encoded = bytearray(encode_siblings(held))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        changed = decode_siblings(bytes(encoded))
    except MalformedInput:
        return
    assert changed != held
    assert encode_siblings(changed) == encoded


@given(ACTS, st.data())
def test_a_part_of_siblings_is_refused(acts: list[tuple[int, int, bool, bytes]], data: st.DataObject) -> None:
    encoded = encode_siblings(siblings_of(acts)[0])
    with pytest.raises(MalformedInput):
        decode_siblings(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(MalformedInput):
        decode_siblings(encoded + b"\0")


NO_SIBLINGS = [
    ("01 00 01 01 00 00", "the dot of a sibling is none"),
    ("01 01 61 00 01 00 00", "the dot of a sibling is none"),
    ("01 01 ff 01 01 00 00", "not UTF-8"),
    ("01 01 61 01 01 00 05", "5 bytes are said to follow"),
    ("02 01 62 01 01 00 00 01 61 01 01 00 00", "not in order"),
    ("02 01 61 01 01 00 00 01 61 01 01 00 00", "not in order"),
    ("01 01 61 01 05 01 01 61 01 00 00", "one knew another"),
    ("02 01 61 01 01 00 00 01 62 01 05 01 01 61 01 00 00", "one knew another"),
]


@pytest.mark.parametrize(("data", "reason"), NO_SIBLINGS)
def test_what_are_no_siblings_is_refused(data: str, reason: str) -> None:
    with pytest.raises(MalformedInput, match=reason):
        decode_siblings(bytes.fromhex(data))


def test_a_replica_whose_name_does_not_fit_is_the_callers_mistake() -> None:
    held = Siblings[bytes]().put(b"", VersionVector(), "")
    with pytest.raises(ValueError, match="the name of a node has"):
        encode_siblings(held)
