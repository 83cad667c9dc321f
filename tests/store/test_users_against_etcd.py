"""Users, roles and what they permit, against a real etcd: random commands and requests, the same answers.

Kept out of it is what is different on purpose (docs/divergences.md): ranges that end before they begin, and
the previous value of a put in a transaction."""
from __future__ import annotations

import base64
import http.client
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from agreed.store.commands import (
    AddRole,
    AddUser,
    ChangePassword,
    Command,
    DeleteRange,
    DeleteRole,
    DeleteUser,
    DisableAuth,
    EnableAuth,
    GrantLease,
    GrantPermission,
    GrantRole,
    OnBehalf,
    Put,
    Range,
    RevokeLease,
    RevokePermission,
    RevokeRole,
    Transaction,
)
from agreed.store.machine import Store
from agreed.store.results import Refusal
from agreed.store.users import ROOT, Access
from tests.acceptance.etcd.ensemble import NO_ETCD, EtcdEnsemble, packaged

Asked = tuple[str, dict[str, Any], Command | Range]
"""The path and the body for etcd, and the same for the store."""

SENTENCES = {
    Refusal.USER_EMPTY: "user name is empty",
    Refusal.USER_EXISTS: "user name already exists",
    Refusal.USER_NOT_FOUND: "user name not found",
    Refusal.ROLE_EMPTY: "role name is empty",
    Refusal.ROLE_EXISTS: "role name already exists",
    Refusal.ROLE_NOT_FOUND: "role name not found",
    Refusal.ROLE_NOT_GRANTED: "role is not granted to the user",
    Refusal.PERMISSION_NOT_GRANTED: "permission is not granted to the role",
    Refusal.ROOT_USER_MISSING: "root user does not exist",
    Refusal.ROOT_ROLE_MISSING: "root user does not have root role",
    Refusal.ROOT_IS_NEEDED: "invalid auth management",
    Refusal.PERMISSION_DENIED: "permission denied",
    Refusal.NO_LEASE: "requested lease not found",
    Refusal.DUPLICATE_KEY: "duplicate key given in txn request",
}


class Etcd:
    """One that speaks JSON over a connection that stays."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=30)
        self.tokens: dict[str, str] = {}

    def ask(self, path: str, body: dict[str, Any], user: str = "") -> dict[str, Any]:
        """As `user`, who logs in where he has no token or an old one."""
        answer = self._post(path, body, self.tokens.get(user))
        if user and str(answer.get("error")).endswith(("invalid auth token", "user name is empty")):
            login = self._post("auth/authenticate", {"name": user, "password": "p"}, None)
            self.tokens[user] = login["token"]
            answer = self._post(path, body, self.tokens[user])
        return answer

    def _post(self, path: str, body: dict[str, Any], token: str | None) -> dict[str, Any]:
        headers = {"Authorization": token} if token else {}
        self._connection.request("POST", "/v3/" + path, json.dumps(body), headers)
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return answer


@pytest.fixture(scope="module")
def etcd() -> Iterator[Etcd]:
    if packaged() is None:
        pytest.skip(NO_ETCD)
    with EtcdEnsemble(1, options=["--bcrypt-cost", "4", "--unsafe-no-fsync"]) as ensemble:
        ensemble.wait_until_serving()
        yield Etcd(ensemble.etcd_addresses[0])


def told(answer: dict[str, Any]) -> str | None:
    return str(answer["error"]).removeprefix("etcdserver: ") if "error" in answer else None


def b64(key: bytes) -> str:
    return base64.b64encode(key).decode()


# --- what is drawn --------------------------------------------------------------------------------

KEYS = (b"a", b"a\0", b"ab", b"b", b"ba", b"c")
ENDS = (b"b", b"c", b"b\0", b"ba", b"d")
LEASES = (1, 2)


def drawn_range(dice: random.Random) -> tuple[dict[str, Any], bytes, bytes | None]:
    key = dice.choice(KEYS)
    end = dice.choice([None, None, b"\0", *(end for end in ENDS if end > key)])
    return {"key": b64(key), **({} if end is None else {"range_end": b64(end)})}, key, end


def change_of_rules(dice: random.Random) -> Asked:
    """Half of them are about root, for whom the rules are special."""
    name, role = (dice.choice((ROOT, "u", "v", "")) for _ in range(2))
    permission = {"permType": "READ", "key": b64(b"k")}
    some: list[Asked] = [
        *([("auth/user/add", {"name": name, "password": "p"}, AddUser(name, b"hash"))] * 2),
        ("auth/user/delete", {"name": name}, DeleteUser(name)),
        ("auth/user/changepw", {"name": name, "password": "p"}, ChangePassword(name, b"hash")),
        *([("auth/user/grant", {"user": name, "role": role}, GrantRole(name, role))] * 2),
        ("auth/user/revoke", {"name": name, "role": role}, RevokeRole(name, role)),
        *([("auth/role/add", {"name": role}, AddRole(role))] * 2),
        ("auth/role/delete", {"role": role}, DeleteRole(role)),
        ("auth/role/grant", {"name": role, "perm": permission}, GrantPermission(role, 0, b"k", None)),
        ("auth/role/revoke", {"role": role, "key": b64(b"k")}, RevokePermission(role, b"k", None)),
        ("auth/enable", {}, EnableAuth()),
        *([("auth/disable", {}, DisableAuth())] if dice.random() < 0.3 else []),
    ]
    return dice.choice(some)


def request(dice: random.Random) -> Asked:
    body, key, end = drawn_range(dice)
    kind, lease, shown = dice.random(), dice.choice((0, 0, 1, 2, 7)), dice.random() < 0.3
    if kind < 0.3:
        return "kv/range", body, Range(key, end)
    if kind < 0.55:
        put = {"key": b64(key), "value": "", "lease": str(lease), "prev_kv": shown}
        return "kv/put", put, Put(key, b"", lease, 0, shown)
    if kind < 0.7:
        return "kv/deleterange", {**body, "prev_kv": shown}, DeleteRange(key, end, shown)
    if kind < 0.9:
        other, key2, end2 = drawn_range(dice)
        then, put_it = [{"request_range": body}, {"request_delete_range": other}], {"key": b64(key)}
        branches = {"success": then, "failure": [{"request_put": put_it}]}
        operations = (Range(key, end), DeleteRange(key2, end2))
        return "kv/txn", branches, Transaction((), operations, (Put(key, b""),))
    if kind < 0.95:
        return "lease/revoke", {"ID": str(lease)}, RevokeLease(lease, True)
    return "lease/grant", {"TTL": "1000", "ID": str(dice.choice(LEASES))}, GrantLease(0, 1, b"", None)


def change_of_permissions(dice: random.Random, store: Store) -> Asked:
    """A real 3.5.1 looks only at the first permission of a role that begins with a key: there is one."""
    body, key, end = drawn_range(dice)
    role, access = dice.choice(("r1", "r2")), dice.choice(list(Access))
    for known in store.users.roles[role]:
        if known.key == key:
            found = {"role": role, "key": b64(key), "range_end": b64(known.range_end or b"")}
            return "auth/role/revoke", found, RevokePermission(role, key, known.range_end)
    permission = {**body, "permType": access.name}
    return "auth/role/grant", {"name": role, "perm": permission}, GrantPermission(role, access, key, end)


# --- what is compared -----------------------------------------------------------------------------


def compare(store: Store, etcd: Etcd, user: str, asked: Asked) -> None:
    path, body, command = asked
    users = store.users
    result: object
    if isinstance(command, GrantLease):
        command = GrantLease(int(body["ID"]), 1, b"", None)
    if isinstance(command, Range):
        result = users.range_refusal(user, users.revision, command.key, command.range_end, Access.READ)
    else:
        result = store.execute(OnBehalf(user, users.revision, command))  # type: ignore[arg-type]
    if result is Refusal.LEASE_EXISTS:
        return
    expected = SENTENCES[result] if isinstance(result, Refusal) else None
    assert told(etcd.ask(path, body, user if users.enabled else "")) == expected, (asked, users.roles)


def test_changes_of_the_rules_are_answered_alike(etcd: Etcd) -> None:
    dice, store = random.Random(1), Store()
    for _ in range(300):
        asked = change_of_rules(dice)
        was_enabled = store.users.enabled
        if was_enabled and isinstance(asked[2], DisableAuth):
            # Whoever asks has to say who he is for the last time.
            assert told(etcd.ask(asked[0], asked[1], ROOT)) is None
            store.execute(OnBehalf(ROOT, 0, asked[2]))
        elif not was_enabled and isinstance(asked[2], EnableAuth):
            result = store.execute(asked[2])
            expected = SENTENCES[result] if isinstance(result, Refusal) else None
            assert told(etcd.ask(asked[0], asked[1])) == expected
        else:
            compare(store, etcd, ROOT, asked)
        status = etcd.ask("auth/status", {}, ROOT if store.users.enabled else "")
        assert (status.get("enabled", False), int(status["authRevision"])) == (
            store.users.enabled,
            store.users.revision,
        ), asked
    clean(store, etcd)


def clean(store: Store, etcd: Etcd) -> None:
    if store.users.enabled:
        etcd.ask("auth/disable", {}, ROOT)
    for name in store.users.users:
        etcd.ask("auth/user/delete", {"name": name})
    for role in store.users.roles:
        etcd.ask("auth/role/delete", {"role": role})


def test_requests_are_permitted_alike(etcd: Etcd) -> None:
    dice, store = random.Random(2), Store()
    for name in (ROOT, "u"):
        compare(store, etcd, "", ("auth/user/add", {"name": name, "password": "p"}, AddUser(name, b"hash")))
    for role in (ROOT, "r1", "r2"):
        user = ROOT if role == ROOT else "u"
        compare(store, etcd, "", ("auth/role/add", {"name": role}, AddRole(role)))
        compare(store, etcd, "", ("auth/user/grant", {"user": user, "role": role}, GrantRole(user, role)))
    for lease in LEASES:
        granted = {"TTL": "1000", "ID": str(lease)}
        compare(store, etcd, "", ("lease/grant", granted, GrantLease(0, 1, b"", None)))
    store.execute(EnableAuth())
    assert told(etcd.ask("auth/enable", {})) is None
    for number in range(600):
        if number % 8 == 0:
            compare(store, etcd, ROOT, change_of_permissions(dice, store))
        compare(store, etcd, "u", request(dice))
