"""What the header fields of a call say: read once for all calls whose fields are the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from agreed.wire.grpc.status import Code, Status
from agreed.wire.grpc.timeouts import decode_timeout
from agreed.wire.grpc.trailers import metadata_of, status_fields
from agreed.wire.http2.fields import EncodedFields, Field, Fields, encode

CONTENT_TYPE: Final = b"application/grpc"

HEAD: Final = encode([(b":status", b"200"), (b"content-type", CONTENT_TYPE)])
"""The head of every answer that has messages."""


class Request(msgspec.Struct, frozen=True):
    """`refusal` answers what is no call that we take, instead of anybody above."""

    path: str
    metadata: Mapping[str, str]
    timeout_ms: int | None
    refusal: EncodedFields | None = None


def whole_answer(status: Status, *more: Field, http: bytes = b"200") -> EncodedFields:
    """Head and trailers in one block, where there is no message in between."""
    return encode([(b":status", http), (b"content-type", CONTENT_TYPE), *status_fields(status), *more])


def is_grpc(content_type: bytes) -> bool:
    """`application/grpc`, alone or with the one way of writing messages that is ours."""
    media_type = content_type.split(b";", 1)[0].strip().lower()
    return media_type in (CONTENT_TYPE, b"application/grpc+proto")


def read_request(fields: Fields) -> Request:
    """Of fields that are a good request of HTTP."""
    method = path = content_type = b""
    encoding = b"identity"
    timeout: bytes | None = None
    for name, value in fields.fields:
        if name == b":path":
            path = value
        elif name == b":method":
            method = value
        elif name == b"content-type":
            content_type = value
        elif name == b"grpc-timeout":
            timeout = value
        elif name == b"grpc-encoding":
            encoding = value
    timeout_text = None if timeout is None else timeout.decode("ascii", "replace")
    timeout_ms = None if timeout_text is None else decode_timeout(timeout_text)
    refusal: EncodedFields | None = None
    if method != b"POST":
        refusal = whole_answer(Status(Code.INTERNAL, "gRPC is spoken by POST alone"), http=b"405")
    elif not is_grpc(content_type):
        text = f'invalid gRPC request content-type "{content_type.decode("utf-8", "replace")}"'
        refusal = whole_answer(Status(Code.INVALID_ARGUMENT, text), http=b"415")
    elif encoding != b"identity":
        unknown = encoding.decode("utf-8", "replace")
        text = f'grpc: Decompressor is not installed for grpc-encoding "{unknown}"'
        refusal = whole_answer(Status(Code.UNIMPLEMENTED, text), (b"grpc-accept-encoding", b"identity"))
    elif timeout_text is not None and timeout_ms is None:
        refusal = whole_answer(Status(Code.INTERNAL, f"malformed grpc-timeout: {timeout_text}"))
    return Request(path.decode("utf-8", "replace"), metadata_of(fields.fields), timeout_ms, refusal)
