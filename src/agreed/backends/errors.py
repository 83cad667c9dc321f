"""What a backend raises beyond the errors of `agreed.client.errors`."""

from __future__ import annotations

from agreed.errors import AgreedError


class Unsupported(AgreedError, NotImplementedError):
    """This backend cannot do that, or not safely; nothing was tried.  A recipe raises it when it is made."""

    surely_not_done = True


class TooMuchBelow(AgreedError):
    """More keys, or more bytes, stand below a name than whoever asked wants to have; nobody has them now."""

    surely_not_done = True

    def __init__(self, key: str, most: int, most_bytes: int) -> None:
        super().__init__(f"below {key!r} are more than {most} keys or {most_bytes} bytes")
