"""An id that etcdctl prints is known again, whichever way it is printed and however small it was drawn."""

from __future__ import annotations

import pytest

from tests.acceptance.etcd.etcdctl import IDENTITY, Names


@pytest.mark.parametrize("number", [0x1234567890123456, 0xDA2072726232F, 0x694D7F0D8C0AB012, 0xA2072726232])
def test_an_id_is_one_id_in_hexadecimal_and_in_decimal(number: int) -> None:
    names = Names({1: "cluster"})
    said = [f"lease {number:x} granted", f'"lease":{number}}}', f"mutex/{number:x}"]
    assert [IDENTITY.sub(lambda found: names.of(found[0]), line) for line in said] == [
        "lease id#1 granted",
        '"lease":id#1}',
        "mutex/id#1",
    ]


def test_ids_are_counted_as_they_appear_and_those_that_are_known_keep_their_names() -> None:
    names = Names({0xABCDEF0123456789: "member n1"})
    texts = ["abcdef0123456789", "1111111111111111", "2222222222222222", "1111111111111111"]
    assert [names.of(text) for text in texts] == ["member n1", "id#1", "id#2", "id#1"]


@pytest.mark.parametrize(
    "line", ["revision 1234567", "compacted revision 12", '"version":1', "foo1234567890ab", "127.0.0.1"]
)
def test_what_is_no_id_stays(line: str) -> None:
    assert IDENTITY.search(line) is None
