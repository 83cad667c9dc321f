"""Commands drawn by Hypothesis: few names, so that they meet; some of everything that can be wrong."""
from __future__ import annotations

from typing import get_args, get_type_hints

from hypothesis import strategies as st

from agreed.store.commands import (
    AddCredential,
    AddRole,
    AddUser,
    AttachLease,
    ChangePassword,
    Check,
    Command,
    Compact,
    Create,
    Delete,
    DeleteRange,
    DeleteRole,
    DeleteUser,
    DisableAuth,
    EnableAuth,
    ExpireLease,
    ForgetTokens,
    GrantLease,
    GrantPermission,
    GrantRole,
    Guard,
    IssueToken,
    Multi,
    OnBehalf,
    Put,
    Range,
    RemoveIdle,
    RevokeLease,
    RevokePermission,
    RevokeRole,
    SetAcl,
    SetAlarm,
    SetConfiguration,
    SetData,
    Sweep,
    Transaction,
)
from agreed.store.etcd_members import (
    AnnounceMember,
    ArriveMember,
    ForgetMember,
    PublishMember,
    UpdateMember,
)
from agreed.store.machine import Store
from agreed.store.records import Credential, Permission

ALICE = Credential("digest", "alice:hash")
BOB = Credential("sasl", "bob")
HERE = Credential("ip", "10.1.2.3")
SUPER = Credential("super", "")

NODES = ("n1", "n2")
LEASES = (1, 2, 3)

nodes = st.sampled_from(NODES)
leases = st.sampled_from((1, 1, 1, 2, 2, 3))
credentials = st.sampled_from(((), (HERE,), (HERE, ALICE), (BOB, ALICE), (SUPER, ALICE)))
data = st.sampled_from((None, b"", b"x", b"twenty bytes of data"))
versions = st.sampled_from((-1, -1, -1, 0, 1, 2))

PATHS = (
    *(b"/a", b"/a", b"/b", b"/a/a", b"/a/b", b"/a/a/a", b"/a/a/b", b"/b/a"),
    *(b"/a/", b"/", b"/zookeeper", b"/zookeeper/config", b"/zookeeper/quota/a"),
    *(b"/zookeeper/quota/a/zookeeper_limits", b"/zookeeper/quota/a/zookeeper_stats"),
    b"/zookeeper/quota/a/a",
    *(b"/zookeeper/quota/a/a/zookeeper_limits", b"/zookeeper/quota/a/a/zookeeper_stats"),
)
ODD_PATHS = (
    *(b"", b"a", b"a/b", b"//a", b"/a//b", b"/a/.", b"/../a", b"/a/\0", b"/a/\x01"),
    *(b"/a/\xc3\xa9", b"/\xff", b"/\xf0\x9f\x98\x80"),
)
paths = st.one_of(st.sampled_from(PATHS), st.sampled_from(PATHS), st.sampled_from(PATHS + ODD_PATHS))

acls = st.one_of(
    st.none(),
    st.none(),
    st.lists(
        st.builds(
            lambda permissions, who: Permission(permissions, *who),
            st.sampled_from((0, 1, 2, 4, 8, 16, 31, 31)),
            st.sampled_from(
                (
                    ("world", "anyone"),
                    ("world", "me"),
                    ("auth", ""),
                    ("digest", "alice:hash"),
                    ("digest", "nocolon"),
                    ("ip", "10.1.0.0/16"),
                    ("ip", "10.9.0.0/16"),
                    ("bogus", "x"),
                )
            ),
        ),
        max_size=2,
    ).map(tuple),
)

LIMITS = (
    *(b"count=1,bytes=1", b"count=-1,bytes=-1=;byteHardLimit=30;countHardLimit=-1"),
    *(b"countHardLimit=2", b"junk"),
)

creates = st.one_of(
    st.builds(Create, leases, paths, data, st.none(), st.just(0)),
    st.builds(Create, leases, paths, data, acls, st.integers(-1, 4)),
    st.builds(
        Create, leases, paths, data, st.none(), st.sampled_from((5, 6, 0)), st.sampled_from((0, 7, 1 << 40))
    ),
    st.builds(
        Create,
        leases,
        st.sampled_from([p for p in PATHS if p.endswith(b"_limits")]),
        st.sampled_from(LIMITS),
        st.none(),
        st.just(0),
    ),
)
set_datas = st.builds(SetData, leases, paths, st.one_of(data, st.sampled_from(LIMITS)), versions)
deletes = st.builds(Delete, leases, paths, versions)
checks = st.builds(Check, leases, paths, versions)
operations = st.one_of(creates, creates, set_datas, deletes, checks)
multis = st.builds(Multi, leases, st.lists(operations, max_size=5).map(tuple))

lease_commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(GrantLease, leases, st.just(10_000), st.just(b"secret"), credentials),
    st.builds(AttachLease, leases, st.just(20_000), st.sampled_from((b"secret", b"wrong")), credentials),
    st.builds(AddCredential, leases, st.sampled_from((ALICE, BOB))),
    st.builds(RevokeLease, leases),
    st.builds(ExpireLease, leases, st.integers(0, 12)),
)
tree_commands: st.SearchStrategy[Command] = st.one_of(
    creates,
    creates,
    set_datas,
    deletes,
    multis,
    multis,
    st.builds(SetAcl, leases, paths, acls, versions),
    st.builds(RemoveIdle, paths, st.integers(0, 12), st.integers(0, 12)),
)

keys = st.sampled_from((b"k", b"k1", b"k2", b"l"))
range_ends = st.sampled_from((None, None, b"\0", b"k2", b"a"))
guards = st.one_of(
    st.builds(
        Guard,
        keys,
        range_ends,
        st.sampled_from(("version", "create_revision", "modify_revision", "lease")),
        st.sampled_from(("=", "!=", "<", ">")),
        st.integers(0, 3),
    ),
    st.builds(Guard, keys, range_ends, st.just("value"), st.sampled_from(("=", "!=", "<")), st.just(b"x")),
)
puts = st.builds(Put, keys, data, st.sampled_from((0, 0, 0, 1, 2, None)))
delete_ranges = st.builds(DeleteRange, keys, range_ends)
flat_operations = st.one_of(
    puts,
    delete_ranges,
    st.builds(Range, keys, range_ends, st.integers(0, 6), st.integers(0, 2)),
)


def transactions(inner: st.SearchStrategy[object]) -> st.SearchStrategy[Transaction]:
    branches = st.lists(inner, max_size=3).map(tuple)
    return st.builds(Transaction, st.lists(guards, max_size=2).map(tuple), branches, branches)


flat_commands: st.SearchStrategy[Command] = st.one_of(
    st.one_of(puts, delete_ranges),
    transactions(flat_operations),
    transactions(st.one_of(flat_operations, flat_operations, transactions(flat_operations))),
    st.builds(Compact, st.integers(0, 10)),
    st.just(Sweep()),
)

names = st.sampled_from(("root", "root", "u"))
accesses = st.sampled_from((0, 1, 2))
user_commands: st.SearchStrategy[Command] = st.one_of(
    st.just(EnableAuth()),
    st.just(DisableAuth()),
    st.builds(AddUser, names, st.sampled_from((None, b"hash"))),
    st.builds(DeleteUser, names),
    st.builds(ChangePassword, names, st.just(b"other")),
    st.builds(GrantRole, names, names),
    st.builds(GrantRole, names, names),
    st.builds(RevokeRole, names, names),
    st.builds(AddRole, names),
    st.builds(DeleteRole, names),
    st.builds(GrantPermission, names, accesses, keys, range_ends),
    st.builds(RevokePermission, names, keys, range_ends),
    st.builds(IssueToken, names, st.sampled_from(("t1", "t2")), st.integers(1, 6)),
    st.builds(ForgetTokens, st.just(("t1",))),
)
urls = st.sampled_from(((), ("http://a",), ("http://a", "http://b"), ("http://c",)))
ids = st.integers(0, 3)
cluster_commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(SetAlarm, ids, ids, st.booleans()),
    st.builds(AnnounceMember, ids, urls, st.booleans()),
    st.builds(ArriveMember, ids, ids),
    st.builds(PublishMember, ids, st.just("n1"), urls, urls),
    st.builds(UpdateMember, ids, st.one_of(st.none(), urls), st.booleans()),
    st.builds(ForgetMember, ids),
    st.builds(SetConfiguration, st.sampled_from((b"server.1=a", b"server.1=b"))),
)
plain_leases: st.SearchStrategy[Command] = st.one_of(
    st.builds(GrantLease, leases, st.just(60_000), st.just(b""), st.none()),
    st.builds(RevokeLease, leases, st.just(True)),
    st.builds(ExpireLease, leases, st.integers(0, 4), st.just(0), st.just(True)),
)
_FOR_SOMEBODY = get_args(get_type_hints(OnBehalf)["command"])
of_clients = st.one_of(flat_commands, flat_commands, user_commands, cluster_commands, plain_leases).filter(
    lambda command: isinstance(command, _FOR_SOMEBODY)
)
etcd_commands: st.SearchStrategy[Command] = st.one_of(
    flat_commands,
    user_commands,
    cluster_commands,
    plain_leases,
    st.builds(OnBehalf, names, st.sampled_from((3, 6, 99, 99)), of_clients),
)
ENABLED: list[tuple[int, str, Command]] = [
    (0, "n1", command)
    for command in (AddUser("root", b"hash"), AddUser("u", b"hash"), AddRole("u"), GrantRole("root", "root"))
]
"""With these before, authentication can be switched on."""

Step = tuple[int, str, Command]
"""How many milliseconds pass, then which node sends which command."""


def steps(commands: st.SearchStrategy[Command], most: int) -> st.SearchStrategy[list[Step]]:
    step = st.tuples(st.integers(0, 10), st.sampled_from(("n1", "n1", "n1", "n2")), commands)
    return st.lists(step, max_size=most)


tree_steps = steps(st.one_of(tree_commands, tree_commands, tree_commands, lease_commands), 30)
all_steps = steps(st.one_of(tree_commands, tree_commands, lease_commands, flat_commands), 30)
etcd_steps = steps(etcd_commands, 30)

GREETING: list[Step] = [
    (5, "n1", GrantLease(1, 10_000, b"secret", (HERE, ALICE))),
    (5, "n1", GrantLease(2, 10_000, b"secret", (HERE,))),
    (0, "n1", Create(1, b"/a", b"", None, 0)),
]
"""So that most of what is drawn finds a session, and something to act on."""


def apply(store: Store, step: Step) -> object:
    passed_ms, origin, command = step
    store.begin(store.stamp_ms + passed_ms)
    return store.execute(command, origin)
