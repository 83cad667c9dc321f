"""Draws scripts from a seed: short stories of two clients in a small tree, where most things collide.

Each script draws its own weights for the kinds of requests (so that some scripts are all about watches,
others about access lists), and few names, so that a request meets what the ones before it did.
"""
from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from tests.acceptance.jute import OPEN, Acl, Writer
from tests.acceptance.requests import (
    AddWatch,
    AnyRequest,
    Anything,
    Authenticate,
    Check,
    CloseSession,
    CountAllChildren,
    Create,
    Delete,
    GetAcl,
    GetEphemerals,
    Multi,
    Ping,
    Read,
    SetAcl,
    SetData,
    SetWatches,
    Sync,
    WatchChange,
    WhoAmI,
)
from tests.differential.zookeeper.compare import PeerTraits
from tests.differential.zookeeper.script import CLIENTS, AnyStep, Reattach, Renew, Send, ZooKeeperScript

PATHS = ("~", "~/a", "~/b", "~/a/x", "~/a/y", "~/b/x", "~/a/x/k", "~/é", "~/a/0000000000")
NEW_PATHS = ("~/a", "~/b", "~/a/x", "~/a/y", "~/b/x", "~/a/x/k", "~/é")
PREFIXES = ("~/s-", "~/a/s-", "~/a/", "~/b/")
BAD_PATHS: tuple[str, ...] = (
    *("", "x", "~/", "~//a", "~/a/", "~/./a", "~/..", "~/missing/child", "~x/y"),
    *("~/a\0b", "~/a\x01b", "~/a\x7fb", "~/a\ue000b", "~/a\uffffb"),
)
# where everything may be tried that is refused; what they hold is another matter on each server
SYSTEM_PATHS = ("/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota")
DATA: tuple[bytes | None, ...] = (b"", b"d", b"some data", None, b"\0\xff" * 20, b"x" * 1500)
TTL_MS = (600_000, 1, (1 << 40) - 1)
BAD_TTL_MS = (0, -1, 1 << 40, -(1 << 62))

READ_ONLY = (Acl(1, "world", "anyone"),)
U_P = "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="
GOOD_ACLS = (
    *(OPEN, READ_ONLY, (*OPEN, *OPEN), (Acl(0, "world", "anyone"),)),
    *((Acl(31, "auth", ""),), (Acl(31, "digest", U_P),), (Acl(1, "digest", U_P), *READ_ONLY)),
    *((Acl(31, "ip", "127.0.0.1"),), (Acl(31, "ip", "10.0.0.0/8"), *READ_ONLY), (Acl(16, "auth", None),)),
    *((Acl(30, "world", "anyone"),), (Acl(23, "world", "anyone"),)),
)
BAD_ACLS = (
    *(None, (), (Acl(31, "bogus", "x"),), (Acl(31, "digest", "nocolon"),), (Acl(31, "ip", "300.1.1.1"),)),
    *((Acl(31, "world", "someone"),), (*OPEN, Acl(1, "bogus", "y")), (Acl(31, None, "anyone"),)),
)
CREDENTIALS = (
    *(("digest", b"u:p"), ("digest", b"v:q"), ("digest", b"super:test"), ("digest", b"nocolon"), ("ip", b"")),
)

Draw = Callable[[], AnyRequest]
MultiPart = Create | Delete | SetData | Check | Read | SetAcl


class Generator:
    """Everything about one script is drawn from one `random.Random`."""

    def __init__(self, seed: str, traits: PeerTraits) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._traits = traits
        # which kind of watch each client may set on a path, where the peer cannot hold several
        self._modes: dict[tuple[int, str], str] = {}
        self._client = 0

    # --- the script

    def script(self) -> ZooKeeperScript:
        dice = self._random
        kinds = list(self._kinds())
        weights = [weight * dice.choice((0, 1, 1, 3, 8)) for weight, _ in kinds]
        if not any(weights):
            weights = [weight for weight, _ in kinds]
        access_lists = dice.random() < 0.4
        self._plain = not access_lists
        steps: list[AnyStep] = []
        for _ in range(dice.randrange(6, 22)):
            self._client = dice.randrange(CLIENTS)
            steps += self._turn([draw for _, draw in kinds], weights)
        return ZooKeeperScript(self._seed, tuple(steps))

    def _turn(self, draws: list[Draw], weights: list[int]) -> list[AnyStep]:
        dice, client = self._random, self._client
        chance = dice.random()
        if chance < 0.04:
            return self._reconnect()
        if chance < 0.055:
            return [Renew(client)]
        if chance < 0.07:
            last = Send(client, (self._some_request(draws, weights), CloseSession()))
            return [last, *self._after_the_end()]
        if chance < 0.10:
            return [Send(client, (self._nonsense_that_closes(),)), *self._after_closing()]
        if chance < (0.14 if self._plain else 0.22):
            scheme, credential = dice.choice(CREDENTIALS)
            return [Send(client, (Authenticate(scheme, credential),))]
        count = dice.choice((1, 1, 2, 2, 3, 4, 6))
        return [Send(client, tuple(self._some_request(draws, weights) for _ in range(count)))]

    def _some_request(self, draws: list[Draw], weights: list[int]) -> AnyRequest:
        return self._random.choices(draws, weights)[0]()

    def _reconnect(self) -> list[AnyStep]:
        dice, client = self._random, self._client
        steps: list[AnyStep] = [Reattach(client, overlapping=dice.random() < 0.3)]
        if dice.random() < 0.1:
            steps.insert(0, Reattach(client, wrong_password=True))
        if dice.random() < 0.8:
            other = Send(1 - client, (self._write(), self._write()))
            steps.insert(dice.randrange(len(steps) + 1), other)
            steps.append(Send(client, (self._set_watches(),)))
        return steps

    def _after_the_end(self) -> list[AnyStep]:
        steps: list[AnyStep] = [Renew(self._client)]
        if self._random.random() < 0.3:
            steps.insert(0, Reattach(self._client))
        return steps

    def _after_closing(self) -> list[AnyStep]:
        if self._random.random() < 0.2:
            return [Renew(self._client)]
        return [Reattach(self._client)]

    # --- kinds of requests, with how often they should come

    def _kinds(self) -> list[tuple[int, Draw]]:
        return [
            (8, self._create),
            (3, self._create_other),
            (5, self._delete),
            (5, self._set_data),
            (2, self._set_acl),
            (8, self._read),
            (2, lambda: GetAcl(self._path())),
            (5, self._multi),
            (1, self._multi_read),
            (4, self._add_watch),
            (2, self._watch_change),
            (1, lambda: Sync(self._path())),
            (1, Ping),
            (2, lambda: GetEphemerals(self._random.choice(("~", "~/a", None, "", "~/a/x", "~x")))),
            (2, lambda: CountAllChildren(self._path())),
            (1, WhoAmI),
            (1, self._set_watches),
            (1, self._nonsense),
        ]

    def _write(self) -> AnyRequest:
        return self._random.choice((self._create, self._delete, self._set_data, self._multi))()

    def _path(self) -> str:
        if self._random.random() < 0.04:
            return self._random.choice(BAD_PATHS[1:])  # not "", which reads as the ever-changing "/"
        return self._random.choice(PATHS)

    def _good_path(self) -> str:
        return self._random.choice(PATHS)

    def _version(self) -> int:
        return self._random.choice((-1, -1, -1, -1, 0, 0, 1, 2, 7, -2))

    def _acl(self) -> tuple[Acl, ...] | None:
        if self._plain or self._random.random() < 0.5:
            return OPEN
        return self._random.choice(BAD_ACLS if self._random.random() < 0.1 else GOOD_ACLS)

    def _create(self) -> Create:
        dice = self._random
        operation = dice.choice((1, 1, 15))
        flags = dice.choice((0, 0, 0, 0, 1, 1, 2, 3))
        path: str | None = dice.choice(PREFIXES if flags in (2, 3) and dice.random() < 0.8 else NEW_PATHS)
        if dice.random() < 0.06:
            path = dice.choice((*BAD_PATHS, *SYSTEM_PATHS, None))
            if path in SYSTEM_PATHS:
                return Create(path, b"", self._acl(), 0, operation)  # a number behind it would make it new
        if dice.random() < 0.03:
            flags = dice.choice((5, 6, 7, 9, -1, 1 << 30))
        return Create(path, dice.choice(DATA), self._acl(), flags, operation)

    def _create_other(self) -> Create:
        """Containers, and nodes with a time to live."""
        dice = self._random
        data = dice.choice(DATA)
        if dice.random() < 0.5:
            return Create(dice.choice(NEW_PATHS), data, self._acl(), dice.choice((4, 4, 4, 0, 9)), 19)
        flags = dice.choice((5, 5, 6))
        ttl = dice.choice(TTL_MS[:1] if dice.random() < 0.8 else (TTL_MS[2], *BAD_TTL_MS))
        return Create(dice.choice(PREFIXES if flags == 6 else NEW_PATHS), data, self._acl(), flags, 21, ttl)

    def _delete(self) -> Delete:
        path = self._random.choice(SYSTEM_PATHS) if self._random.random() < 0.02 else self._path()
        return Delete(path, self._version())

    def _set_data(self) -> SetData:
        if self._random.random() < 0.01:
            return SetData(None, b"")
        return SetData(self._path(), self._random.choice(DATA), self._version())

    def _set_acl(self) -> SetAcl:
        acl = self._acl() if not self._plain else self._random.choice((OPEN, OPEN, (*OPEN, *READ_ONLY), None))
        return SetAcl(self._path(), acl, self._version())

    def _read(self) -> Read:
        operation = self._random.choice((3, 3, 4, 4, 8, 12))
        if operation == 3 and not self._plain and not self._traits.exists_needs_permission:
            operation = 4
        if self._random.random() < 0.01:
            return Read(operation, None)
        path = self._path()
        watch = self._random.random() < 0.6 and self._may_watch(path, "once")
        return Read(operation, path, watch)

    def _may_watch(self, path: str, mode: str) -> bool:
        if self._traits.modes_share_a_path:
            return True
        return self._modes.setdefault((self._client, path), mode) == mode

    def _add_watch(self) -> AnyRequest:
        mode = self._random.choice((0, 1))
        path = self._path()
        if not self._may_watch(path, f"mode {mode}"):
            return Read(8, path)
        return AddWatch(path, self._random.choice((7, -1)) if self._random.random() < 0.03 else mode)

    def _watch_change(self) -> WatchChange:
        dice = self._random
        if not self._traits.persistent_watches_are_a_kind:
            return WatchChange(18, self._good_path(), 3)
        return WatchChange(dice.choice((17, 18)), self._good_path(), dice.choice((1, 2, 3, 3)))

    def _set_watches(self) -> SetWatches:
        dice = self._random

        def some(mode: str) -> tuple[str, ...]:
            drawn = dict.fromkeys(self._good_path() for _ in range(dice.choice((0, 0, 1, 2, 3))))
            return tuple(path for path in drawn if self._may_watch(path, mode))

        if not self._plain:  # see KNOWN: no word about nodes which the client may not read
            return SetWatches(persistent=some("mode 0"), recursive=some("mode 1"))
        if dice.random() < 0.5:
            return SetWatches(some("once"), some("once"), some("once"))
        return SetWatches(some("once"), some("once"), some("once"), some("mode 0"), some("mode 1"))

    def _multi(self) -> Multi:
        dice = self._random
        draws: tuple[Callable[[], MultiPart], ...] = (
            *(self._create, self._create, self._create_other, self._delete, self._set_data),
            *(self._set_data, lambda: Check(self._path(), self._version())),
        )
        count = dice.choice((0, 1, 2, 2, 3, 3, 4, 5))
        operations = [self._in_multi(dice.choice(draws)()) for _ in range(count)]
        if dice.random() < 0.02:
            operations.append(dice.choice((self._set_acl, self._read))())
        return Multi(tuple(operations))

    def _in_multi(self, drawn: MultiPart) -> MultiPart:
        if self._traits.multi_keeps_operations_apart:
            return drawn
        if drawn.path is None:
            return msgspec.structs.replace(drawn, path="~/a")
        if not isinstance(drawn, Create):
            return drawn
        plain = drawn.operation == 15 or (drawn.operation == 19 and drawn.flags != 4)
        return msgspec.structs.replace(drawn, operation=1) if plain else drawn

    def _multi_read(self) -> Multi:
        operations: list[MultiPart] = [
            Read(self._random.choice((4, 8)), self._good_path()) for _ in range(self._random.randrange(5))
        ]
        return Multi(tuple(operations), reading=True)

    # --- nonsense

    def _nonsense(self) -> Anything:
        """Known requests with bodies cut short, and some with more than they need."""
        dice = self._random
        whole = dice.choice((self._create, self._delete, self._set_data, self._read, self._multi))()
        if isinstance(whole, Create | Read | SetData | Delete | Multi):
            body = whole.body("/nowhere", 0)
        return Anything(whole.code, body[: dice.randrange(len(body))])

    def _nonsense_that_closes(self) -> AnyRequest:
        draws: list[AnyRequest] = [
            *(Anything(77), Anything(0), Anything(-3, Writer().text("x").bytes())),
            *(Authenticate("bogus", b"x"), Authenticate("world", b"")),
        ]
        if self._traits.answers_a_lone_check:
            draws.append(Check("~", 0))
        return self._random.choice(draws)
