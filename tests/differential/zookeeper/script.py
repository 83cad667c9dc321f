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

from collections.abc import Iterator

import msgspec

from tests.acceptance.jute import Acl
from tests.acceptance.requests import AnyRequest, Create, Multi, Request
from tests.differential.script import Script, Step


class Send(Step, frozen=True, tag="send"):
    client: int
    requests: tuple[AnyRequest, ...]

    def describe(self) -> str:
        return f"client {self.client}: " + "; ".join(describe_request(request) for request in self.requests)

    def smaller(self) -> Iterator[Send]:
        """Without one of its requests, or without one operation of a multi."""
        requests = self.requests
        if len(requests) > 1:
            for number in range(len(requests) - 1, -1, -1):
                yield Send(self.client, (*requests[:number], *requests[number + 1 :]))
        for number, request in enumerate(requests):
            for smaller in smaller_requests(request):
                yield Send(self.client, (*requests[:number], smaller, *requests[number + 1 :]))


class Reattach(Step, frozen=True, tag="reattach"):
    client: int
    overlapping: bool = False
    wrong_password: bool = False

    def describe(self) -> str:
        options = [option for option in ("overlapping", "wrong_password") if getattr(self, option)]
        return f"client {self.client}: {' '.join(['reattach', *options])}"


class Renew(Step, frozen=True, tag="renew"):
    client: int

    def describe(self) -> str:
        return f"client {self.client}: renew"


AnyStep = Send | Reattach | Renew

CLIENTS = 2

MAKE_ROOT = Send(0, (Create("~", b"root"),))


class ZooKeeperScript(Script[AnyStep], frozen=True):
    """The root is made before the first step."""


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


def smaller_requests(request: AnyRequest) -> Iterator[AnyRequest]:
    if isinstance(request, Multi):
        for number in range(len(request.operations) - 1, -1, -1):
            fewer = (*request.operations[:number], *request.operations[number + 1 :])
            yield msgspec.structs.replace(request, operations=fewer)
