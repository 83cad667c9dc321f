"""A script: what two clients do, step by step, written so that it can be kept in a file and played again.

A step is one of

* `Send`: a client sends some requests in one packet and waits for all their answers;
* `Reattach`: a client connects anew and claims its old session (`overlapping`: the old connection still
  stands);
* `Renew`: a client connects with a new session.

Only one client moves at a time, so that the order of everything is given by the script and not by the
machine.
"""
from __future__ import annotations

import msgspec

from tests.acceptance.jute import Acl
from tests.acceptance.requests import AnyRequest, Create, Request


class Send(msgspec.Struct, frozen=True, tag="send"):
    client: int
    requests: tuple[AnyRequest, ...]


class Reattach(msgspec.Struct, frozen=True, tag="reattach"):
    client: int
    overlapping: bool = False
    wrong_password: bool = False


class Renew(msgspec.Struct, frozen=True, tag="renew"):
    client: int


Step = Send | Reattach | Renew

CLIENTS = 2

MAKE_ROOT = Send(0, (Create("~", b"root"),))


class Script(msgspec.Struct, frozen=True):
    """`seed` tells where it came from; the steps alone say what is done.  The root is made before the
    first."""

    seed: str
    steps: tuple[Step, ...]

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)

    @staticmethod
    def from_json(data: bytes) -> Script:
        return msgspec.json.decode(data, type=Script)

    def lines(self) -> list[str]:
        """One line a step, for people."""
        return [f"{number:3} {describe(step)}" for number, step in enumerate(self.steps)]


def describe(step: Step) -> str:
    if isinstance(step, Send):
        return f"client {step.client}: " + "; ".join(describe_request(request) for request in step.requests)
    name = type(step).__name__.lower()
    options = [option for option in ("overlapping", "wrong_password") if getattr(step, option, False)]
    return f"client {step.client}: {' '.join([name, *options])}"


def describe_request(request: Request) -> str:
    parts = [
        f"{field.name}={describe_value(getattr(request, field.name))}"
        for field in msgspec.structs.fields(request)
        if getattr(request, field.name) != field.default
    ]
    return f"{type(request).__name__}({', '.join(parts)})"


def describe_value(value: object) -> str:
    if isinstance(value, Request):
        return describe_request(value)
    if isinstance(value, Acl):
        return f"{value.scheme}:{value.id}={value.permissions}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(describe_value, value))}]"
    if isinstance(value, bytes) and len(value) > 16:
        return f"{value[:4]!r}... of {len(value)}"
    return repr(value)
