"""What a node forwards is looked at before it gets into the log, where every node would have to apply it."""
from __future__ import annotations

import msgspec
import pytest

from agreed.replica.proposals import MAX_ENTRY_BYTES, MAX_GATHERED_BYTES, Proposals, fault
from agreed.store.commands import Batch, Delete, Payload
from agreed.types import NUMBER_MOST


def batch(origin: str = "n2.1f", life: int = 1, first: int = 1) -> bytes:
    return msgspec.msgpack.encode(Batch(origin, life, first, [Delete(7, b"/a", -1)]))


@pytest.mark.parametrize(
    ("forwarded", "why"),
    [
        (b"", "cannot be read"),
        (b"\xc1", "cannot be read"),
        (batch()[:-1], "cannot be read"),
        (batch().replace(b"n2.1f", b"n2.\xff\xff"), "cannot be read"),
        (b"\x91" * 5_000, "cannot be read"),
        (batch("n3.1f"), "in the name of"),
        (batch("n2"), "in the name of"),
        (batch(life=0), "numbers"),
        (batch(first=0), "numbers"),
        (batch(life=NUMBER_MOST), "numbers"),
    ],
)
def test_what_would_poison_the_log_does_not_get_there(forwarded: bytes, why: str) -> None:
    assert why in str(fault("n2", forwarded))


def test_a_batch_of_its_own_is_welcome() -> None:
    assert fault("n2", batch()) is None


def test_an_entry_takes_what_fits_and_names_who_waits() -> None:
    proposals = Proposals("n1")
    large = batch() + b"\x00" * (MAX_ENTRY_BYTES // 2)  # only its size matters here
    for source in ("n1", "n3", "n2"):
        proposals.add(source, large)
    first, waiting = proposals.next(5)
    assert waiting == ()
    assert len(first) < MAX_ENTRY_BYTES
    second, waiting = proposals.next(5)
    assert waiting == ("n3",)
    assert len(second) == len(first)
    assert len(proposals) == 1


def test_the_batches_of_an_entry_are_read_as_they_were_written() -> None:
    proposals = Proposals("n1")
    proposals.add("n1", batch("n1.1"))
    proposals.add("n2", batch("n2.1f"))
    payload = msgspec.msgpack.decode(proposals.next(77)[0], type=Payload)
    assert (payload.stamp_ms, [b.origin for b in payload.batches]) == (77, ["n1.1", "n2.1f"])


def test_what_is_too_much_is_left_to_be_said_again() -> None:
    proposals = Proposals("n1")
    large = b"\x00" * (MAX_GATHERED_BYTES // 4)
    for _ in range(6):
        proposals.add("n2", large)
    assert len(proposals) == 4
