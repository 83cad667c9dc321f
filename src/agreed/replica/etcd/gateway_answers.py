"""What the gateway's answers look like over HTTP: headers, error bodies, dates; as etcd 3.5 writes them.

Every answer carries the headers that let pages of any origin use the gateway (etcd's default, `--cors *`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from agreed.types import Stamp
from agreed.wire.etcd.json_mapping import json_text, to_json
from agreed.wire.grpc.status import Code, Status

Headers = list[tuple[bytes, bytes]]

HTTP_CODES: Final = {
    Code.OK: 200,
    Code.CANCELLED: 408,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}

PHRASES: Final = {
    101: b"Switching Protocols",
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    413: b"Request Entity Too Large",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}

CORS: Final[Headers] = [
    (b"Access-Control-Allow-Headers", b"accept, content-type, authorization"),
    (b"Access-Control-Allow-Methods", b"POST, GET, OPTIONS, PUT, DELETE"),
    (b"Access-Control-Allow-Origin", b"*"),
]
JSON: Final = (b"Content-Type", b"application/json")
TEXT: Final = (b"Content-Type", b"text/plain; charset=utf-8")
FROM_GRPC: Final = (b"Grpc-Metadata-Content-Type", b"application/grpc")
NO_SNIFFING: Final = (b"X-Content-Type-Options", b"nosniff")


class Answer(msgspec.Struct, frozen=True):
    """A whole answer; the connection adds its length, its date and what every answer carries."""

    code: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (TEXT,)


def plain(code: int, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    """A sentence about what is wrong with the request itself."""
    return Answer(code, text.encode() + b"\n", (TEXT, NO_SNIFFING, *headers))


NOT_FOUND: Final = plain(404, "404 page not found")
NO_SUCH_ROUTE: Final = plain(404, "Not Found")
WRONG_METHOD: Final = plain(405, "Method Not Allowed")
ONLY_GET: Final = plain(405, "Method Not Allowed", (b"Allow", b"GET"))
BAD_HANDSHAKE: Final = plain(400, "Bad Request")
NAMED_BY_CERTIFICATE: Final = plain(
    400, "CommonName of client sending a request against gateway will be ignored and not used as expected"
)
PREFLIGHT: Final = Answer(200, b"", ())


def reply(message: msgspec.Struct) -> Answer:
    """Of a unary call."""
    return reply_written(to_json(message))


def reply_written(message: bytes) -> Answer:
    return Answer(200, message, (JSON, FROM_GRPC))


def failure(status: Status) -> Answer:
    """Of a unary call, and of a stream before its first message could be asked for."""
    body = {"error": status.message, "code": int(status.code), "message": status.message}
    return Answer(HTTP_CODES[status.code], json_text(body), (JSON,))


def chunk(message: msgspec.Struct) -> bytes:
    """One message of a stream."""
    return b'{"result":' + to_json(message) + b"}\n"


def stream_failure(status: Status) -> bytes:
    """The last line of a stream that fails."""
    code = HTTP_CODES[status.code]
    error = {
        "grpc_code": int(status.code),
        "http_code": code,
        "message": status.message,
        "http_status": PHRASES[code].decode(),
    }
    return json_text({"error": error})


_DAYS: Final = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(wall_ms: Stamp) -> bytes:
    """`Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 5.6.7).  The machines have no calendar to ask, so the days
    are counted here: years begin in March, so that the day that is sometimes missing is the last one."""
    day, second = divmod(wall_ms // 1000, 86_400)
    era, day_of_era = divmod(day + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day_of_month = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = (month_from_march + 2) % 12
    year = 400 * era + year_of_era + (month < 2)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{_DAYS[day % 7]}, {day_of_month:02} {_MONTHS[month]} {year:04} {clock} GMT".encode()
