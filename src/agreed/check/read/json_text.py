"""JSON from outside: a value, or MalformedInput, whatever the text is."""
from __future__ import annotations

from typing import TypeVar

import msgspec

from agreed.errors import MalformedInput

Value = TypeVar("Value")


def decoded(decoder: msgspec.json.Decoder[Value], text: str) -> Value:
    """What the text says, of the decoder's type.  A value that is nested too deep is malformed, and so is a
    text that is no Unicode (half of a character that takes two places)."""
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise MalformedInput(str(error)) from error
    except RecursionError as error:
        raise MalformedInput("a value is nested too deep") from error
