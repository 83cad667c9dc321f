"""Who calls, and what he may do: asked of every call before a service sees it.

While authentication is off nobody has a name, and everybody may do everything.  While it is on:

    a token           of a login (`Authenticate`), or signed by whom we trust (JWT); one that is not known is
                      looked for again behind a barrier, for the login may have been on another node just now
    a certificate     that TLS has verified: its common name is the user, where no token is shown
    neither           nobody, who may log in and ask for health

What is read or written is judged later: commands when they are applied (`store/guarded.py`), reads where the
keys are known (`may_read`).  Here is judged what only administrators may do, and what everybody may who has
a name.  Status, alarms, leases and the list of members want a name as in etcd since its CVE-2026-33413; a
3.5.1 told them to anybody.

Nodes may be behind: what waited for a barrier is judged once more (`again`), or else a password that was
changed would be good for as long as some node has not heard of it.

A login is good while it is used: nodes tell the leader which tokens they were shown, and the leader has
those forgotten that nobody has shown for `etcd_token_ttl_ms`.  So a token is good on all nodes or on none,
and survives the restart of any.

A learner answers next to nothing here, as in etcd.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agreed.replica.etcd.calls import LATER, Call
from agreed.replica.etcd.cluster import is_learner
from agreed.store.commands import Command, Compact, ForgetTokens, OnBehalf, SetAlarm
from agreed.store.etcd_members import AnnounceMember, ForgetMember, UpdateMember
from agreed.store.results import Refusal
from agreed.store.users import Access
from agreed.types import Instant, LeaseId, NodeId
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import RangeRequest
from agreed.wire.etcd.translate import status_of
from agreed.wire.grpc.status import Status
from agreed.wire.peer.messages import TokensUsed

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

_OPEN: Final = frozenset(
    {
        "/etcdserverpb.Auth/Authenticate",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    }
)
_SOMEBODY: Final = frozenset(
    {
        "/etcdserverpb.Cluster/MemberList",
        "/etcdserverpb.Lease/LeaseLeases",
        "/etcdserverpb.Lease/LeaseTimeToLive",
        "/etcdserverpb.Maintenance/Alarm",
        "/etcdserverpb.Maintenance/Status",
    }
)
_ADMINISTRATORS: Final = frozenset(
    {
        "/etcdserverpb.Auth/AuthDisable",
        "/etcdserverpb.Auth/AuthStatus",
        "/etcdserverpb.Auth/RoleAdd",
        "/etcdserverpb.Auth/RoleDelete",
        "/etcdserverpb.Auth/RoleGrantPermission",
        "/etcdserverpb.Auth/RoleList",
        "/etcdserverpb.Auth/RoleRevokePermission",
        "/etcdserverpb.Auth/UserAdd",
        "/etcdserverpb.Auth/UserChangePassword",
        "/etcdserverpb.Auth/UserDelete",
        "/etcdserverpb.Auth/UserGrantRole",
        "/etcdserverpb.Auth/UserList",
        "/etcdserverpb.Auth/UserRevokeRole",
        "/etcdserverpb.Cluster/MemberAdd",
        "/etcdserverpb.Cluster/MemberPromote",
        "/etcdserverpb.Cluster/MemberRemove",
        "/etcdserverpb.Cluster/MemberUpdate",
    }
)
_ADMINISTRATORS_OF_A_MEMBER: Final = frozenset(
    {
        "/etcdserverpb.Maintenance/Defragment",
        "/etcdserverpb.Maintenance/Downgrade",
        "/etcdserverpb.Maintenance/Hash",
        "/etcdserverpb.Maintenance/HashKV",
        "/etcdserverpb.Maintenance/MoveLeader",
        "/etcdserverpb.Maintenance/Snapshot",
    }
)
"""A real 3.5 refuses these in words of its own."""

_OF_NODES_TOO: Final = frozenset({AnnounceMember, Compact, ForgetMember, SetAlarm, UpdateMember})
"""Commands that nodes give for themselves as well as for clients."""

_LEARNERS_ANSWER: Final = _OPEN | {
    "/etcdserverpb.Maintenance/Status",
    "/etcdserverpb.Maintenance/Snapshot",
}

SHARES_OF_A_LIFE: Final = 10
"""How often within the life of a token a node tells which were used."""


class Callers:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._replica = front.replica
        self._learner = False
        self._used: dict[str, None] = {}
        self._heard_at: dict[str, Instant] = {}
        """Of the leader: when each token was last used, as far as it knows."""
        self._led = False
        self._report_at: Instant = 0
        front.on_round.append(self._round)

    # --- asked by the front -------------------------------------------------------------------------------

    def admit(self, call: Call, request: Any) -> Status | None:
        """The hot path is two questions."""
        if self._learner and not _for_learners(call, request):
            return errors.LEARNER_UNSUPPORTED
        refusal = self.again(call)
        if refusal is errors.INVALID_AUTH_TOKEN and self._replica.settings.etcd_jwt is None:
            self._front.read(call, lambda: self._front.admitted(call, request))
            return LATER
        return refusal

    def again(self, call: Call) -> Status | None:
        """Who calls, and why he may not, as far as this node knows by now.  What it knew when the call came
        in may have been old, or the call is a stream that lasts for days."""
        if not self._replica.store.users.enabled:
            return None
        return self._identify(call) or self._may_call(call)

    def on_behalf(self, call: Call, command: Command) -> Command:
        """Also where nobody has to say who he is, as far as this node knows: it may be the last to hear, and
        what nodes do for themselves is not looked at when it is applied."""
        if isinstance(command, OnBehalf) or (call.user is None and type(command) not in _OF_NODES_TOO):
            return command
        return OnBehalf(call.user or "", self._auth_revision(call), command)  # type: ignore[arg-type]

    def may_read(self, call: Call, key: bytes, range_end: bytes | None) -> Status | None:
        users = self._replica.store.users
        if not users.enabled:
            return None
        refusal = users.range_refusal(
            call.user or "", self._auth_revision(call), key, range_end, Access.READ
        )
        return None if refusal is None else status_of(refusal)

    def may_renew(self, call: Call, lease: LeaseId) -> Status | None:
        """As who may put a key on it: WRITE on all that hang on it already.  Else somebody keeps a key that
        its owner has left to die.  Streams of renewals last for days: who calls is found out each time."""
        store = self._replica.store
        users = store.users
        if not users.enabled:
            return None
        unknown = self._identify(call)
        if unknown is not None:
            return unknown
        user, auth_revision = call.user or "", self._auth_revision(call)
        refusal = users.refusal(user, users.revision)
        found = store.leases.get(lease)
        if refusal is None and found is not None and found.credentials is None and not users.is_root(user):
            refusal = next(
                (
                    refused
                    for key in found.flat_keys
                    if (refused := users.range_refusal(user, auth_revision, key, None, Access.WRITE))
                ),
                None,
            )
        return None if refusal is None else status_of(refusal)

    def _auth_revision(self, call: Call) -> int:
        return self._replica.store.users.revision if call.auth_revision is None else call.auth_revision

    # --- who ----------------------------------------------------------------------------------------------

    def _identify(self, call: Call) -> Status | None:
        if call.method.path in _OPEN:
            return None
        token, signer = call.caller.token, self._replica.settings.etcd_jwt
        call.user = call.caller.certificate or ""
        if not token:
            return None
        if signer is not None:
            found = signer.verify(token, self._replica.wall_ms)
            if found is None:
                return errors.INVALID_AUTH_TOKEN
            call.user, call.auth_revision = found
            return None
        known = self._replica.store.users.tokens.get(token)
        if known is None:
            return errors.INVALID_AUTH_TOKEN
        self._used[token] = None
        call.user = known.user
        return None

    def _may_call(self, call: Call) -> Status | None:
        path, users, user = call.method.path, self._replica.store.users, call.user or ""
        if path in _SOMEBODY:
            refusal = users.refusal(user, self._auth_revision(call))
        elif path in _ADMINISTRATORS:
            refusal = users.admin_refusal(user)
        elif path in _ADMINISTRATORS_OF_A_MEMBER:
            refusal = users.admin_refusal(user)
            if refusal is Refusal.PERMISSION_DENIED:
                return errors.ADMIN_DENIED
        else:
            return None
        return None if refusal is None else status_of(refusal)

    # --- how long a login is good -------------------------------------------------------------------------

    def tokens_used(self, source: NodeId, message: TokensUsed) -> None:
        now = self._replica.now
        self._heard_at.update(dict.fromkeys(message.tokens, now))

    def _round(self) -> None:
        replica = self._replica
        self._learner = is_learner(replica)
        if replica.now < self._report_at:
            return
        self._report_at = replica.now + max(1, replica.settings.etcd_token_ttl_ms // SHARES_OF_A_LIFE)
        used, self._used = list(self._used), {}
        if replica.leads:
            self._forget_unused(used)
        elif used and replica.machine.leader is not None:
            replica.effects.send.append((replica.machine.leader, TokensUsed(used)))
        self._led = replica.leads

    def _forget_unused(self, used: list[str]) -> None:
        """A new leader gives every token its full time: it may live longer than it should, never shorter."""
        replica = self._replica
        now = replica.now
        heard_at = self._heard_at if self._led else {}
        heard_at.update(dict.fromkeys(used, now))
        tokens = replica.store.users.tokens
        self._heard_at = {token: heard_at.get(token, now) for token in tokens}
        # What a node was shown just before its last word may be told up to one of these words later.
        life_ms = replica.settings.etcd_token_ttl_ms * (SHARES_OF_A_LIFE + 1) // SHARES_OF_A_LIFE
        over = tuple(token for token, heard in self._heard_at.items() if now - heard >= life_ms)
        if over:
            replica.submit(ForgetTokens(over))


def _for_learners(call: Call, request: Any) -> bool:
    return call.method.path in _LEARNERS_ANSWER or (
        isinstance(request, RangeRequest) and request.serializable
    )
