"""Frames between nodes: whole, in pieces, and damaged in every place."""
from __future__ import annotations

import pytest

from agreed.consensus.raft.messages import AppendEntries, RequestVote
from agreed.errors import MalformedInput
from agreed.wire.peer.codec import HEADER, MAX_FIRST_BODY_BYTES, Decoder, encode, framed

HEARTBEAT = AppendEntries(7, 41, 6, 40, 3, [])


def test_any_cut_gives_the_same_messages() -> None:
    stream = encode(HEARTBEAT) + encode(RequestVote(8, 41, 6))
    for cut in range(len(stream) + 1):
        decoder = Decoder()
        messages = decoder.receive_data(stream[:cut]) + decoder.receive_data(stream[cut:])
        assert messages == [HEARTBEAT, RequestVote(8, 41, 6)]


@pytest.mark.parametrize("bit", range(8 * len(encode(HEARTBEAT))))
def test_a_flipped_bit_is_noticed_as_soon_as_the_frame_is_there(bit: int) -> None:
    """Also one in the length: whoever believed it would wait for megabytes, deaf to every heartbeat."""
    frame = bytearray(encode(HEARTBEAT))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MalformedInput):
        Decoder().receive_data(bytes(frame))


def test_nobody_makes_us_wait_for_more_than_a_first_message_may_have() -> None:
    frame = framed(bytes(MAX_FIRST_BODY_BYTES + 1))
    with pytest.raises(MalformedInput, match="limit"):
        Decoder().receive_data(frame[: HEADER.size])


@pytest.mark.parametrize(
    "record",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x15\x03\x01\x00\x02\x02\x46"],
    ids=["a hello of TLS", "an alert"],
)
def test_tls_is_called_by_its_name(record: bytes) -> None:
    """However little of it has come: an alert is shorter than a header, whose rest had been waited for."""
    for cut in range(len(record) - 1):
        decoder = Decoder()
        decoder.receive_data(record[:1])
        with pytest.raises(MalformedInput, match="TLS"):
            decoder.receive_data(record[1 : 2 + cut])
