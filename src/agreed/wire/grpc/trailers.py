"""A status as the header fields that end a call, and back; and what stands for one where there is none.

`grpc-message` is UTF-8 with everything but printable ASCII, and the percent sign itself, as %XX.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.http2.fields import Field
from agreed.wire.http2.frames import ErrorCode

_ESCAPED: Final = re.compile(rb"[^ -$&-~]")
_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")

_OF_HTTP: Final = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}

_OF_RESET: Final = {
    ErrorCode.REFUSED_STREAM: Code.UNAVAILABLE,
    ErrorCode.CANCEL: Code.CANCELLED,
    ErrorCode.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
}


def encode_text(text: str) -> bytes:
    """For `grpc-message`."""
    return _ESCAPED.sub(lambda match: b"%%%02X" % match[0][0], text.encode("utf-8", "replace"))


def decode_text(value: bytes) -> str:
    """Never fails: what is not an escape stands for itself."""
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), value).decode("utf-8", "replace")


def status_fields(status: Status) -> list[Field]:
    fields = [(b"grpc-status", b"%d" % status.code)]
    if status.message:
        fields.append((b"grpc-message", encode_text(status.message)))
    return fields


def status_of(fields: Iterable[Field]) -> Status | None:
    """None if there is none."""
    code: int | None = None
    text = ""
    for name, value in fields:
        if name == b"grpc-status":
            code = int(value) if value.isdigit() and len(value) < 10 else Code.UNKNOWN
        elif name == b"grpc-message":
            text = decode_text(value)
    if code is None:
        return None
    if code not in Code.__members__.values():
        return Status(Code.UNKNOWN, text)
    return Status(Code(code), text) if code or text else OK


def status_of_http(code: bytes) -> Status:
    """What an answer means that does not come from gRPC."""
    return Status(_OF_HTTP.get(int(code), Code.UNKNOWN), f"unexpected HTTP status code {int(code)}")


def status_of_reset(code: int) -> Status:
    name = ErrorCode(code).name if code in ErrorCode.__members__.values() else str(code)
    found = _OF_RESET.get(ErrorCode(code), Code.INTERNAL) if name != str(code) else Code.INTERNAL
    return Status(found, f"stream terminated by RST_STREAM with error code: {name}")


def metadata_of(fields: Iterable[Field]) -> Mapping[str, str]:
    """All fields but those of HTTP and of gRPC; what came several times is joined by commas."""
    metadata: dict[str, str] = {}
    for raw_name, raw_value in fields:
        if raw_name.startswith(b"grpc-") or raw_name in (b"content-type", b"te"):
            continue
        if raw_name[:1] == b":" and raw_name != b":authority":
            continue
        name, value = raw_name.decode(), raw_value.decode("utf-8", "replace")
        metadata[name] = f"{metadata[name]},{value}" if name in metadata else value
    return metadata
