"""`grpc-timeout`: at most eight digits and a unit."""

from __future__ import annotations

import re
from typing import Final

_TIMEOUT: Final = re.compile(r"([0-9]{1,8})([HMSmun])").fullmatch

_NANOSECONDS: Final = {
    "H": 3_600_000_000_000,
    "M": 60_000_000_000,
    "S": 1_000_000_000,
    "m": 1_000_000,
    "u": 1_000,
    "n": 1,
}

_DIGITS_MOST: Final = 10**8


def decode_timeout(text: str) -> int | None:
    """In milliseconds, rounded up; None if it is not a timeout."""
    match = _TIMEOUT(text)
    if match is None:
        return None
    return -(-int(match[1]) * _NANOSECONDS[match[2]] // 1_000_000)


def encode_timeout(timeout_ms: int) -> str:
    """The finest unit that holds it in eight digits, rounded up: too late is better than too early."""
    for unit in "mSMH":
        value = -(-timeout_ms * 1_000_000 // _NANOSECONDS[unit])
        if value < _DIGITS_MOST:
            return f"{value}{unit}"
    return f"{_DIGITS_MOST - 1}H"
