"""What is asked of the HTTP gateway, on a server of its own: as text, so that the order of fields counts.

What differs from run to run is replaced in the text, as in `interview.py`.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterator

from tests.acceptance.etcd.ensemble import get

CREATE_2 = '[{"target":"CREATE","key":"Zm9v","result":"EQUAL","create_revision":"2"}]'
CREATE_0 = '[{"target":"CREATE","key":"Zm9v","createRevision":"0"}]'
PUT_AND_READ = '[{"request_put":{"key":"Zm9v","value":"YmFy"}},{"request_range":{"key":"Zm9v"}}]'
NESTED = (
    '{"success":[{"request_txn":{"compare":[{"target":"VERSION","key":"Zm9v","result":"GREATER"}],'
    '"success":[{"request_delete_range":{"key":"eno=","prev_kv":true}}]}}]}'
)

UNARY: tuple[tuple[str, str | None], ...] = (
    ("/version", None),
    ("/health", None),
    ("/health", "x"),
    ("/nope", None),
    ("/members", None),
    ("/v2/keys/foo", None),
    ("/v3/nope", "{}"),
    ("/v3/kv/put", '{"key":"Zm9v","value":"YmFy"}'),
    ("/v3/kv/put", '{"key":"Zm9v","value":"YmFy","prev_kv":true}'),
    ("/v3/kv/range", '{"key":"Zm9v"}'),
    ("/v3/kv/range", '{"key":"Zm9v","range_end":"Zm9w","count_only":true}'),
    ("/v3/kv/range", '{"key":"Zm9v","sort_order":"DESCEND","sort_target":"MOD"}'),
    ("/v3/kv/range", '{"key":"Zm9v","sort_order":2,"limit":"1"}'),
    ("/v3/kv/range", '{"key":"Zm9v","sort_order":"SIDEWAYS"}'),
    ("/v3/kv/range", "{}"),
    ("/v3/kv/range", ""),
    ("/v3/kv/range", '{"key":"Zm9v","revision":"999"}'),
    ("/v3/kv/range", '{"key":"Zm9v","revision":"x"}'),
    ("/v3/kv/range", '{"key":"Zm9v","revision":1.5}'),
    ("/v3/kv/range", '{"key":"***"}'),
    ("/v3/kv/range", '{"key":5}'),
    ("/v3/kv/range", '{"key":null}'),
    ("/v3/kv/range", "notjson"),
    ("/v3/kv/range", '{"key":"Zm9v"'),
    ("/v3/kv/range", "[]"),
    ("/v3/kv/range", '{"key":"Zm9v","unknown_field":1}'),
    ("/v3/kv/range", '{"key":"Zm9v","rangeEnd":"Zm9w","keysOnly":true}'),
    ("/v3/kv/range", '{"key":"Zm9v","serializable":"true"}'),
    ("/v3/kv/range", None),
    ("/v3/kv/put", '{"key":"AA==","value":"/+8="}'),
    ("/v3/kv/deleterange", '{"key":"AA==","prev_kv":true}'),
    ("/v3/kv/deleterange", '{"key":"AA=="}'),
    ("/v3/kv/txn", f'{{"compare":{CREATE_2},"success":{PUT_AND_READ}}}'),
    ("/v3/kv/txn", f'{{"compare":{CREATE_0},"success":[],"failure":[{{"requestRange":{{"key":"Zm9v"}}}}]}}'),
    ("/v3/kv/txn", NESTED),
    ("/v3/kv/txn", "{}"),
    ("/v3/lease/grant", '{"TTL":"60","ID":0}'),
    ("/v3/lease/grant", '{"TTL":60,"ID":77}'),
    ("/v3/lease/grant", '{"TTL":60,"ID":77}'),
    ("/v3/lease/keepalive", '{"ID":77}'),
    ("/v3/lease/keepalive", '{"ID":78}'),
    ("/v3/lease/timetolive", '{"ID":77,"keys":true}'),
    ("/v3/kv/lease/timetolive", '{"ID":77}'),
    ("/v3/lease/timetolive", '{"ID":78}'),
    ("/v3/lease/leases", "{}"),
    ("/v3/kv/lease/leases", "{}"),
    ("/v3/lease/revoke", '{"ID":77}'),
    ("/v3/lease/revoke", '{"ID":77}'),
    ("/v3/kv/lease/revoke", '{"ID":77}'),
    ("/v3/cluster/member/list", "{}"),
    ("/v3/maintenance/status", "{}"),
    ("/v3/maintenance/alarm", "{}"),
    ("/v3/maintenance/hash", "{}"),
    ("/v3/maintenance/alarm", '{"action":"ACTIVATE","alarm":"NOSPACE"}'),
    ("/v3/kv/put", '{"key":"Zm9v","value":"YmFy"}'),
    ("/v3/maintenance/alarm", '{"action":2,"alarm":1}'),
    ("/v3/auth/enable", "{}"),
    ("/v3/auth/status", "{}"),
    ("/v3/auth/authenticate", '{"name":"root","password":"x"}'),
    ("/v3/lock/lock", '{"name":"Zm9v"}'),
    ("/v3/election/leader", '{"name":"Zm9v"}'),
    ("/v3/election/leader", '{"name":"bm9uZQ=="}'),
    ("/v3/kv/compaction", '{"revision":"3"}'),
    ("/v3/kv/compaction", '{"revision":"3"}'),
    ("/v3/kv/compaction", '{"revision":"300"}'),
    ("/v3/maintenance/defragment", "{}"),
    ("/v3beta/kv/range", '{"key":"Zm9v"}'),
    ("/v3alpha/kv/range", '{"key":"Zm9v"}'),
    ("/v3/auth/user/add", '{"name":"root","password":"pw"}'),
    ("/v3/auth/user/grant", '{"user":"root","role":"root"}'),
    ("/v3/auth/role/add", '{"name":"root"}'),
    (
        "/v3/auth/role/grant",
        '{"name":"root","perm":{"permType":"READWRITE","key":"YQ==","range_end":"Yg=="}}',
    ),
    ("/v3/auth/role/get", '{"role":"root"}'),
    ("/v3/auth/role/list", "{}"),
    ("/v3/auth/user/get", '{"name":"root"}'),
    ("/v3/auth/user/list", "{}"),
)

STREAMS = (
    ("/v3/watch", '{"create_request":{"key":"Zm9v","start_revision":"4"}}', 2),
    ("/v3/watch", '{"create_request":{"key":"Zm9v","start_revision":"4","prev_kv":true}}', 2),
    ("/v3/watch", '{"create_request":{"key":"Zm9v","start_revision":"1"}}', 2),
    ("/v3/watch", '{"create_request":{"key":"Zm9v","range_end":"YQ=="}}', 1),
    ("/v3/watch", '{"create_request":{"key":"Zm9v"}} {"progress_request":{}}', 2),
    ("/v3/watch", '{"create_request":', 1),
    ("/v3/lease/keepalive", '{"ID":1}{"ID":2}', 2),
)
"""How many lines are read, of streams that may not end."""


def ask_gateway(address: str) -> list[str]:
    lines = []
    rename = Renaming()
    for path, body in UNARY:
        status, kind, text = get(address, path, body)
        lines.append(f"{path} {'GET' if body is None else body} -> {status} {kind} {rename(text)}")
    for path, body, count in STREAMS:
        for text in stream(address, path, body, count):
            lines.append(f"{path} {body} -> {rename(text)}")
    return lines


def stream(address: str, path: str, body: str, count: int) -> Iterator[str]:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        yield f"{answer.status} {answer.headers['Content-Type']} {answer.headers['Transfer-Encoding']}"
        for _ in range(count):
            yield answer.readline().decode()
    finally:
        connection.close()


class Renaming:
    """Ids, sizes and the like without their value; leases by their number."""

    VALUES = (
        *("cluster_id", "member_id", "raft_term", "dbSize", "dbSizeInUse", "leader", "raftIndex", "raftTerm"),
        *("raftAppliedIndex", "hash", "TTL", "etcdserver", "etcdcluster", "version"),
    )

    def __init__(self) -> None:
        self._leases: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        text = text.rstrip("\n")
        if '"members"' in text:
            member = json.loads(text)["members"][0]
            return "each member: " + ", ".join(
                f"{key} {type(value).__name__}" for key, value in member.items()
            )
        text = re.sub(r'"version":"\d+\.[^"]*"', '"version":"..."', text)
        for name in self.VALUES:
            if name != "version":
                text = re.sub(rf'"{name}":("?)[^",}}]+\1', rf'"{name}":\1...\1', text)
        text = re.sub(r'"([A-Za-z0-9+/=]{28})"', self._key, text)
        return re.sub(r'"(\d{17,19})"', lambda found: f'"{self._lease(found[1])}"', text)

    def _lease(self, number: str) -> str:
        return self._leases.setdefault(number, f"lease#{len(self._leases) + 1}")

    def _key(self, found: re.Match[str]) -> str:
        """The key of a lock, with the lease in it."""
        name, _, number = base64.b64decode(found[1]).decode("latin-1").rpartition("/")
        return f'"{name}/..."' if number and len(name) < 8 else found[0]
