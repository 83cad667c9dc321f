"""What is asked about keys, transactions, compaction and leases.  Revisions are compared: the order
matters."""

from __future__ import annotations

from typing import Any

from tests.acceptance.etcd.interview import Interview
from tests.acceptance.etcd.schema import pb

KEY, VERSION, CREATE, MOD, VALUE = range(5)
EQUAL, GREATER, LESS, NOT_EQUAL = range(4)


def get(key: bytes = b"", **fields: Any) -> Any:
    return pb.RequestOp(request_range=pb.RangeRequest(key=key, **fields))


def put(key: bytes, value: bytes = b"", **fields: Any) -> Any:
    return pb.RequestOp(request_put=pb.PutRequest(key=key, value=value, **fields))


def delete(key: bytes, **fields: Any) -> Any:
    return pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=key, **fields))


def nested(**fields: Any) -> Any:
    return pb.RequestOp(request_txn=pb.TxnRequest(**fields))


def revision(interview: Interview) -> int:
    return int(interview.api.call("Range", key=b"x").header.revision)


def about_keys(interview: Interview) -> None:
    ask = interview.ask
    ask("fresh range", "Range", key=b"x")
    ask("fresh status", "Status")
    ask("range without key", "Range")
    ask("put without key", "Put", value=b"1")
    ask("delete without key", "DeleteRange")
    ask("put ignore_value on an absent key", "Put", key=b"nope", ignore_value=True)
    ask("put ignore_value with a value", "Put", key=b"nope", value=b"x", ignore_value=True)
    ask("put ignore_lease on an absent key", "Put", key=b"nope", ignore_lease=True)
    ask("put ignore_lease with a lease", "Put", key=b"nope", lease=1, ignore_lease=True)
    ask("put with an unknown lease", "Put", key=b"a", lease=12345)
    ask("put a", "Put", key=b"a", value=b"1")
    ask("put a again, prev_kv", "Put", key=b"a", value=b"2", prev_kv=True)
    ask("range in the future", "Range", key=b"a", revision=9999)
    ask("range at a negative revision", "Range", key=b"a", revision=-5)
    ask("range in the past", "Range", key=b"a", revision=2)
    ask("range with a bad order", "Range", key=b"a", sort_order=7)
    ask("range end before key", "Range", key=b"z", range_end=b"a")
    ask("range with a negative limit", "Range", key=b"\0", range_end=b"\0", limit=-3)
    for number in range(5):
        interview.api.call("Put", key=b"k%d" % number, value=b"v%d" % (9 - number))
    k = {"key": b"k", "range_end": b"l"}
    ask("limit 2", "Range", **k, limit=2)
    ask("limit as many as there are", "Range", **k, limit=5)
    ask("count_only", "Range", **k, count_only=True)
    ask("count_only limit 1", "Range", **k, count_only=True, limit=1)
    ask("count_only with a filter", "Range", **k, count_only=True, min_mod_revision=7)
    ask("keys_only", "Range", key=b"k", range_end=b"k2", keys_only=True)
    ask("sort by value, no order", "Range", key=b"k", range_end=b"k3", sort_target=VALUE)
    ask("sort descending by key, limit", "Range", **k, sort_order=2, limit=1)
    ask("sort by version", "Range", key=b"k0", sort_target=VERSION, sort_order=1)
    ask("sort by mod, descending", "Range", **k, sort_target=MOD, sort_order=2, limit=3)
    ask("sort by create", "Range", **k, sort_target=CREATE, sort_order=1)
    ask("min_mod filter", "Range", **k, min_mod_revision=6)
    ask("max_mod filter, limit", "Range", **k, max_mod_revision=7, limit=2)
    ask("create filters", "Range", **k, min_create_revision=5, max_create_revision=6)
    ask("serializable", "Range", key=b"a", serializable=True)
    ask("count all", "Range", key=b"\0", range_end=b"\0", count_only=True)
    ask("range from key", "Range", key=b"k3", range_end=b"\0", keys_only=True)
    ask("delete nothing", "DeleteRange", key=b"zzz")
    ask("delete end before key", "DeleteRange", key=b"z", range_end=b"a")
    ask("delete, prev_kv", "DeleteRange", key=b"k0", range_end=b"k2", prev_kv=True)


def about_transactions(interview: Interview) -> None:
    ask = interview.ask
    compare, read = pb.Compare, get(b"a")
    ask("empty txn", "Txn")
    ask("txn puts a key twice", "Txn", success=[put(b"a", b"1"), put(b"a", b"2")])
    ask("txn puts what it deletes", "Txn", success=[put(b"a", b"1"), delete(b"a", range_end=b"b")])
    ask("txn deletes, then puts", "Txn", success=[delete(b"a"), put(b"a", b"1")])
    ask("txn deletes twice", "Txn", success=[delete(b"a"), delete(b"a", range_end=b"b")])
    inner = nested(success=[put(b"a")], failure=[put(b"a")])
    ask("txn puts in both branches of a nested one", "Txn", success=[inner])
    ask("txn puts what a nested one puts", "Txn", success=[put(b"a"), inner])
    ask("txn 129 ops", "Txn", success=[read] * 129)
    ask("txn 129 in the other branch", "Txn", failure=[read] * 129)
    many = pb.TxnRequest(success=[read] * 128)
    interview.attempt("txn 128 ops", lambda: len(interview.api.call("Txn", many).responses))
    always = compare(key=b"a", target=0, result=GREATER, version=0)
    several = pb.TxnRequest(compare=[always] * 128)
    interview.attempt("txn 128 compares", lambda: interview.api.call("Txn", several).succeeded)
    ask("txn 129 compares", "Txn", compare=[always] * 129)
    ask("txn nested over the budget", "Txn", success=[nested(success=[read] * 127), read])
    ask("txn nested in the budget", "Txn", success=[nested(success=[read] * 3), read])
    ask("txn with an empty op", "Txn", success=[pb.RequestOp()])
    ask("txn compares no key", "Txn", compare=[compare(target=0)])
    ask("txn puts no key", "Txn", success=[put(b"")])
    ask("txn reads no key", "Txn", success=[get()])
    ask("txn deletes no key", "Txn", failure=[delete(b"")])
    absent = {"key": b"missing"}
    for name, result in (("EQUAL", EQUAL), ("GREATER", GREATER), ("LESS", LESS), ("NOT_EQUAL", NOT_EQUAL)):
        ask(f"txn value of nothing {name}", "Txn", compare=[compare(**absent, target=3, result=result)])
    ask("txn version of nothing is 0", "Txn", compare=[compare(**absent, target=0, version=0)])
    ask("txn create of nothing is 0", "Txn", compare=[compare(**absent, target=1, create_revision=0)])
    ask(
        "txn mod of nothing is less than 1",
        "Txn",
        compare=[compare(**absent, target=2, result=LESS, mod_revision=1)],
    )
    ask("txn lease of nothing is 0", "Txn", compare=[compare(**absent, target=4, lease=0)])
    ask("txn target that is not set", "Txn", compare=[compare(key=b"k2", target=2, result=GREATER)])
    k = {"key": b"k", "range_end": b"l"}
    ask("txn compares a range", "Txn", compare=[compare(**k, target=1, result=GREATER, create_revision=0)])
    ask(
        "txn compares a range, one fails",
        "Txn",
        compare=[compare(**k, target=2, result=GREATER, mod_revision=6)],
    )
    ask("txn compares an empty range", "Txn", compare=[compare(key=b"y", range_end=b"z", target=1)])
    ask("txn compares values", "Txn", compare=[compare(key=b"k4", target=3, result=LESS, value=b"v6")])
    mixed = [put(b"tx", b"1"), get(b"tx"), delete(b"k2"), get(b"k", range_end=b"l", count_only=True)]
    ask("txn sees what it did", "Txn", success=mixed)
    first = compare(key=b"tx", target=0, version=1)
    ask("txn nested", "Txn", success=[nested(compare=[first], success=[put(b"n1", b"1")])])
    before = compare(key=b"fresh", target=0, version=0)
    ask(
        "txn nested compares what was before",
        "Txn",
        success=[put(b"fresh"), nested(compare=[before], success=[get(b"fresh")])],
    )
    ask("txn puts, prev_kv", "Txn", success=[put(b"tx", b"2", prev_kv=True), delete(b"fresh", prev_kv=True)])
    ask("txn deletes nothing", "Txn", success=[delete(b"zzz")])
    ask("txn that only reads", "Txn", success=[get(b"tx")])
    ask("txn that only reads locally", "Txn", success=[get(b"tx", serializable=True)])
    ask("txn reads the past", "Txn", success=[get(b"tx", revision=2), put(b"tx2")])
    ask("txn with an unknown lease", "Txn", success=[put(b"q", lease=99)])
    ask("txn with an unknown lease not taken", "Txn", failure=[put(b"q", lease=99)])
    ask("txn ignore_value on an absent key", "Txn", success=[put(b"qq", ignore_value=True)])
    ask("txn ignore_value with a value", "Txn", success=[put(b"qq", b"1", ignore_value=True)])
    ask("txn reads the future", "Txn", success=[get(b"a", revision=99999)])
    ask("txn writes and reads the future", "Txn", success=[put(b"never"), get(b"a", revision=99999)])
    ask("nothing of it was done", "Range", key=b"never")


def about_compaction(interview: Interview) -> None:
    ask = interview.ask
    now = revision(interview)
    ask("compact the future", "Compact", revision=now + 10)
    ask("compact", "Compact", revision=now - 1, physical=True)
    ask("compact again", "Compact", revision=now - 1)
    ask("compact at 0", "Compact", revision=0)
    ask("compact at a negative revision", "Compact", revision=-1)
    ask("range of what is compacted", "Range", key=b"a", revision=2)
    ask("range at the compacted revision", "Range", key=b"tx", revision=now - 1)
    ask("txn reads what is compacted", "Txn", success=[get(b"a", revision=2)])


def about_leases(interview: Interview) -> None:
    ask = interview.ask
    ask("grant of 0 s", "LeaseGrant", TTL=0)
    ask("grant of -1 s", "LeaseGrant", TTL=-1)
    ask("grant of 1 s", "LeaseGrant", TTL=1)
    ask("grant id 7", "LeaseGrant", TTL=100, ID=7)
    ask("grant id 7 again", "LeaseGrant", TTL=100, ID=7)
    ask("grant a negative id", "LeaseGrant", TTL=100, ID=-7)
    ask("grant too long", "LeaseGrant", TTL=9000000001)
    ask("grant the longest", "LeaseGrant", TTL=9000000000, ID=8)
    ask("time to live of nothing", "LeaseTimeToLive", ID=4242)
    interview.api.call("Put", key=b"L1", lease=7)
    interview.api.call("Put", key=b"L0", lease=7)
    interview.attempt("time to live", lambda: _time_to_live(interview))
    ask("put with ignore_lease", "Put", key=b"L1", value=b"v", ignore_lease=True)
    ask("its lease is kept", "Range", key=b"L1")
    ask("put moves a key to another lease", "Put", key=b"L1", lease=8, prev_kv=True)
    ask("put without a lease takes it away", "Put", key=b"L1", prev_kv=True)
    interview.api.call("Put", key=b"L1", lease=7)
    interview.attempt("leases", lambda: sorted(each.ID for each in _leases(interview) if abs(each.ID) < 99))
    with interview.api.stream("LeaseKeepAlive") as stream:
        for number in (7, 4242):
            stream.send(ID=number)
            interview.hear("keep-alive", stream, 1)
        stream.end()
        interview.hear("keep-alive ended", stream, 1)
    ask("revoke nothing", "LeaseRevoke", ID=4242)
    ask("revoke", "LeaseRevoke", ID=7)
    ask("its keys are gone", "Range", key=b"L", range_end=b"M")
    ask("revoke a lease without keys", "LeaseRevoke", ID=8)
    ask("revoke again", "LeaseRevoke", ID=8)


def _leases(interview: Interview) -> Any:
    return interview.api.call("LeaseLeases").leases


def _time_to_live(interview: Interview) -> str:
    reply = interview.api.call("LeaseTimeToLive", ID=7, keys=True)
    return f"{95 <= reply.TTL <= 100} of {reply.grantedTTL}, {sorted(reply.keys)}"
