"""What may be asked of the store: the only thing ever put into the log.

A request becomes a command by a pure function of the request alone (`wire/*/translate.py`); nothing is read
before it is ordered.  A command that cannot be done has a result that says which of its guards failed
(`results.Refusal`), and changes nothing but the revision.

One entry of the log holds a `Payload`: the leader's time stamp and batches of commands.  A batch comes from
one node (`origin`: its name and identity) in one of its lives (`life`), and its commands are numbered without
gaps, so that a batch which is sent again after a change of leader is answered and not redone (`once.py`).

`Create`, `SetData`, `Delete`, ... speak of the tree space and check their guards in the order in which a
ZooKeeper server does; `Put`, `DeleteRange` and `Transaction` (guards, then, otherwise) speak of the flat
space.

Fields that came later stand last and have defaults: entries from before are still read.
"""
from __future__ import annotations

import msgspec

from agreed.store.etcd_members import AnnounceMember, ForgetMember, MemberCommand, UpdateMember
from agreed.store.records import Credential, Permission
from agreed.types import LeaseId, NodeId, Revision, Stamp, Term

# --- leases (sessions) ----------------------------------------------------------------------------------


class GrantLease(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A new lease.  `lease` was drawn by the node that asks; `secret` proves ownership on another node.

    `credentials` None: a plain lease (etcd) without an owner; otherwise a session of that node."""

    lease: LeaseId
    ttl_ms: int
    secret: bytes
    credentials: tuple[Credential, ...] | None


class AttachLease(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A session is taken up on the node that sends this; from now on it is `owner`, and no other node."""

    lease: LeaseId
    ttl_ms: int
    secret: bytes
    credentials: tuple[Credential, ...]


class AddCredential(msgspec.Struct, frozen=True, array_like=True, tag=3):
    lease: LeaseId
    credential: Credential


class RevokeLease(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The client closes it; every key that hangs on it goes, in one revision.  `plain`: an etcd client asks,
    who has no say over sessions."""

    lease: LeaseId
    plain: bool = False


class ExpireLease(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The leader of `term` has not heard of it for too long.  Refused if it was attached anew since
    `attach_revision`, and in an entry of another term: who leads then has heard of it more lately.  `plain`:
    it is no session, and one that is gone already costs no revision."""

    lease: LeaseId
    attach_revision: Revision
    term: Term = 0
    plain: bool = False


# --- the tree space --------------------------------------------------------------------------------------


class Create(msgspec.Struct, frozen=True, array_like=True, tag=16, gc=False):
    """`acl` None: open to all.  `mode` is ZooKeeper's flags (0-6).  `ttl_ms` belongs to modes 5 and 6."""

    lease: LeaseId
    path: bytes
    data: bytes | None
    acl: tuple[Permission, ...] | None
    mode: int
    ttl_ms: int = 0


class SetData(msgspec.Struct, frozen=True, array_like=True, tag=17, gc=False):
    """`version` -1: any."""

    lease: LeaseId
    path: bytes
    data: bytes | None
    version: int


class Delete(msgspec.Struct, frozen=True, array_like=True, tag=18, gc=False):
    lease: LeaseId
    path: bytes
    version: int


class SetAcl(msgspec.Struct, frozen=True, array_like=True, tag=19):
    """`version` is compared with the ACL version."""

    lease: LeaseId
    path: bytes
    acl: tuple[Permission, ...] | None
    version: int


class Check(msgspec.Struct, frozen=True, array_like=True, tag=20, gc=False):
    """Only inside `Multi`."""

    lease: LeaseId
    path: bytes
    version: int


class Multi(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """All or nothing, at one revision; later operations see the earlier ones."""

    lease: LeaseId
    operations: tuple[Create | SetData | Delete | Check, ...]


class RemoveIdle(msgspec.Struct, frozen=True, array_like=True, tag=22, gc=False):
    """Upkeep: remove a container or a key whose time to live is over, if it still is empty and unchanged
    since `children_revision` and `modify_revision`."""

    path: bytes
    modify_revision: Revision
    children_revision: Revision


# --- the flat space --------------------------------------------------------------------------------------


class Guard(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`target` of `key` (or of every key in [key, range_end)) stands in `relation` to `operand`.

    target: "version" "create_revision" "modify_revision" "value" "lease"; relation: "=" "!=" "<" ">"."""

    key: bytes
    range_end: bytes | None
    target: str
    relation: str
    operand: int | bytes


class Put(msgspec.Struct, frozen=True, array_like=True, tag=32, gc=False):
    """`value` or `lease` None: keep the present one (refused where the key is absent).  `shown`: who asked
    is told what was there before, and so must be allowed to read it."""

    key: bytes
    value: bytes | None
    lease: LeaseId | None = 0
    flags: int = 0
    shown: bool = False


class DeleteRange(msgspec.Struct, frozen=True, array_like=True, tag=33, gc=False):
    """`range_end` None: just `key`; b"\\0": all from `key` on; else [key, range_end).  `shown`: see `Put`."""

    key: bytes
    range_end: bytes | None
    shown: bool = False


class Range(msgspec.Struct, frozen=True, array_like=True, tag=34, gc=False):
    """A read; inside a transaction it sees what came before it there.  `revision` 0: newest."""

    key: bytes
    range_end: bytes | None
    revision: Revision = 0
    limit: int = 0


class Transaction(msgspec.Struct, frozen=True, array_like=True, tag=35):
    """If all guards hold then `then` else `otherwise`; one revision (none if nothing was written)."""

    guards: tuple[Guard, ...]
    then: tuple[Put | DeleteRange | Range | Transaction, ...]
    otherwise: tuple[Put | DeleteRange | Range | Transaction, ...]


class Compact(msgspec.Struct, frozen=True, array_like=True, tag=36, gc=False):
    """Forget the versions of flat keys that were replaced before `revision`."""

    revision: Revision


class Sweep(msgspec.Struct, frozen=True, array_like=True, tag=37, gc=False):
    """Upkeep: give back some memory of what a compaction left, where the cluster is too idle to do it
    between its payloads (`store/mvcc.py`)."""


# --- the cluster itself ----------------------------------------------------------------------------------


class Checkpoint(msgspec.Struct, frozen=True, array_like=True, tag=48, gc=False):
    """Every node takes its snapshot right after this command, so that their digests can be compared."""


class SetConfiguration(msgspec.Struct, frozen=True, array_like=True, tag=49):
    """The text of /zookeeper/config, made by the replica when a set of members is in force; the line with the
    version is added when it is applied.  Refused in an entry of another term than `term`: the members may
    have changed since that leader looked."""

    text: bytes
    term: Term = 0


class SetAlarm(msgspec.Struct, frozen=True, array_like=True, tag=50, gc=False):
    """`kind`: of `alarms.AlarmKind`.  `member`: as clients of etcd know it."""

    member: int
    kind: int
    on: bool


# --- users of the flat space -----------------------------------------------------------------------------


class EnableAuth(msgspec.Struct, frozen=True, array_like=True, tag=65, gc=False):
    """From now on everything is done for somebody."""


class DisableAuth(msgspec.Struct, frozen=True, array_like=True, tag=66, gc=False):
    """All tokens are forgotten."""


class AddUser(msgspec.Struct, frozen=True, array_like=True, tag=67, gc=False):
    """`password_hash` None: there is no password (a certificate tells who it is)."""

    name: str
    password_hash: bytes | None


class DeleteUser(msgspec.Struct, frozen=True, array_like=True, tag=68, gc=False):
    name: str


class ChangePassword(msgspec.Struct, frozen=True, array_like=True, tag=69, gc=False):
    name: str
    password_hash: bytes | None


class GrantRole(msgspec.Struct, frozen=True, array_like=True, tag=70, gc=False):
    user: str
    role: str


class RevokeRole(msgspec.Struct, frozen=True, array_like=True, tag=71, gc=False):
    user: str
    role: str


class AddRole(msgspec.Struct, frozen=True, array_like=True, tag=72, gc=False):
    name: str


class DeleteRole(msgspec.Struct, frozen=True, array_like=True, tag=73, gc=False):
    name: str


class GrantPermission(msgspec.Struct, frozen=True, array_like=True, tag=74, gc=False):
    """`access`: of `users.Access`; key and range_end as in `DeleteRange`."""

    role: str
    access: int
    key: bytes
    range_end: bytes | None


class RevokePermission(msgspec.Struct, frozen=True, array_like=True, tag=75, gc=False):
    role: str
    key: bytes
    range_end: bytes | None


class IssueToken(msgspec.Struct, frozen=True, array_like=True, tag=76, gc=False):
    """`token` was drawn by the node that has looked at the password, under these rules (`Users.revision`)."""

    user: str
    token: str
    auth_revision: int


class ForgetTokens(msgspec.Struct, frozen=True, array_like=True, tag=77):
    """Upkeep: nobody has used them for a while."""

    tokens: tuple[str, ...]


UserCommand = (
    EnableAuth
    | DisableAuth
    | AddUser
    | DeleteUser
    | ChangePassword
    | GrantRole
    | RevokeRole
    | AddRole
    | DeleteRole
    | GrantPermission
    | RevokePermission
)
"""Only who has the role root may ask for these, while authentication is on."""


class OnBehalf(msgspec.Struct, frozen=True, array_like=True, tag=64):
    """What a client of etcd asks for, who was recognized as `user` under these rules (`Users.revision`).
    Whether he may is judged when it is applied.  While authentication is off it is just the command."""

    user: str
    auth_revision: int
    command: (
        GrantLease
        | RevokeLease
        | Put
        | DeleteRange
        | Transaction
        | Compact
        | SetAlarm
        | UserCommand
        | AnnounceMember
        | UpdateMember
        | ForgetMember
    )


Command = (
    GrantLease
    | AttachLease
    | AddCredential
    | RevokeLease
    | ExpireLease
    | Create
    | SetData
    | Delete
    | SetAcl
    | Multi
    | RemoveIdle
    | Put
    | DeleteRange
    | Transaction
    | Compact
    | Sweep
    | Checkpoint
    | SetConfiguration
    | SetAlarm
    | UserCommand
    | IssueToken
    | ForgetTokens
    | MemberCommand
    | OnBehalf
)


class Batch(msgspec.Struct, array_like=True):
    """Commands of one node in one of its lives, numbered `first`, `first` + 1, ..."""

    origin: NodeId
    life: int
    first: int
    commands: list[Command]


class Payload(msgspec.Struct, array_like=True):
    """What one entry of the log holds."""

    stamp_ms: Stamp
    batches: list[Batch]
