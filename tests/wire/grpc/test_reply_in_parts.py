"""A long reply whose parts are never joined here is one message to a real client of gRPC."""

from __future__ import annotations

import grpc
import pytest

from agreed.wire.grpc.events import Called, FromClient
from agreed.wire.http2.limits import Limits
from tests.wire.grpc import loopback
from tests.wire.grpc.loopback import ECHO, EchoServer


class InParts(EchoServer):
    def _on(self, event: FromClient) -> None:
        if isinstance(event, Called):
            message = event.message
            assert message is not None
            parts = [message[at : at + 50_000] for at in range(0, len(message), 50_000)]
            self.connection.reply_in_parts(event.stream, [b"", *parts])
        else:
            super()._on(event)


@pytest.mark.parametrize("size", [0, 10, 65_530, 3_000_000])
def test_it_is_one_message(size: int) -> None:
    message = b"0123456789" * (size // 10)
    with loopback.serving(lambda: InParts(Limits(max_message_bytes=4_000_000))) as port:
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            echo = channel.unary_unary(ECHO)
            assert echo(message, timeout=20) == message
            assert echo(b"next", timeout=20) == b"next"
