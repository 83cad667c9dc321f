"""`/metrics`: numbers under etcd's names, in the text format of Prometheus."""

from __future__ import annotations

import re

import pytest

from agreed.replica.etcd.metrics import Family, text_of
from agreed.replica.words import Spread, Surroundings
from agreed.wire.etcd.messages import RangeRequest
from tests.replica.alone import Alone
from tests.replica.etcd.browsing import Browser
from tests.replica.etcd.calling import Caller

PUT = {"key": "Zm9v", "value": "YmFy"}

_LABEL = r'[a-z_]+="(?:[^"\\\n]|\\.)*"'
_SAMPLE = re.compile(rf"([a-z_]+)((?:\{{{_LABEL}(?:,{_LABEL})*\}})?) (-?[0-9.e+]+)")


def numbers(browser: Browser) -> dict[str, float]:
    """Name and labels -> value; every line must be one that a collector can read."""
    page = browser.get("/metrics")
    assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, float] = {}
    family = None
    for line in page.body.decode().splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
        elif line.startswith("# TYPE "):
            assert line.split()[2:] in ([family, "counter"], [family, "gauge"], [family, "histogram"])
        else:
            sample = _SAMPLE.fullmatch(line)
            assert sample is not None, line
            assert family is not None
            assert sample[1].startswith(family)
            assert sample[1] + sample[2] not in found
            found[sample[1] + sample[2]] = float(sample[3])
    return found


@pytest.fixture
def browser() -> Browser:
    return Browser(Alone(surroundings=lambda: Surroundings(open_files=12, max_files=34)))


def test_what_a_node_tells_of_itself(browser: Browser) -> None:
    seen = numbers(browser)
    assert seen['etcd_server_version{server_version="3.5.13"}'] == 1
    assert seen['etcd_cluster_version{cluster_version="3.5"}'] == 1
    assert seen['etcd_server_id{server_id="1"}'] == 1
    assert seen["etcd_server_has_leader"] == seen["etcd_server_is_leader"] == 1
    assert seen["etcd_server_is_learner"] == 0
    assert (seen["process_open_fds"], seen["process_max_fds"]) == (12, 34)
    assert (seen["os_fd_used"], seen["os_fd_limit"]) == (12, 34)


def test_what_the_disk_takes() -> None:
    spread = Spread((0.001, 0.002, 0.004), (2, 0, 3, 1), 1.25)
    seen = numbers(Browser(Alone(surroundings=lambda: Surroundings(syncs=spread))))
    name = "etcd_disk_wal_fsync_duration_seconds"
    buckets = [seen[f'{name}_bucket{{le="{bound}"}}'] for bound in ("0.001", "0.002", "0.004", "+Inf")]
    assert buckets == [2, 2, 5, 6]
    assert (seen[f"{name}_sum"], seen[f"{name}_count"]) == (1.25, 6)


def test_changes_are_counted(browser: Browser) -> None:
    before = numbers(browser)
    for _ in range(3):
        browser.post("/v3/kv/put", PUT)
    browser.post("/v3/kv/deleterange", {"key": "Zm9v"})
    browser.post("/v3/kv/put", {"key": "YQ=="})
    seen = numbers(browser)
    assert seen["etcd_mvcc_put_total"] - before["etcd_mvcc_put_total"] == 4
    assert seen["etcd_mvcc_delete_total"] - before["etcd_mvcc_delete_total"] == 1
    assert seen["etcd_debugging_mvcc_events_total"] - before["etcd_debugging_mvcc_events_total"] == 5
    assert seen["etcd_debugging_mvcc_total_put_size_in_bytes"] == 3 * 6 + 1
    assert seen["etcd_debugging_mvcc_keys_total"] == 1
    assert seen["etcd_debugging_mvcc_current_revision"] == 6
    assert seen["etcd_mvcc_db_total_size_in_bytes"] > before["etcd_mvcc_db_total_size_in_bytes"]
    assert seen["etcd_server_proposals_committed_total"] == seen["etcd_server_proposals_applied_total"]
    assert seen["etcd_server_proposals_committed_total"] > before["etcd_server_proposals_committed_total"]


def test_a_command_that_waits_is_pending(browser: Browser) -> None:
    other = Browser(browser.node)
    browser.node.saving = False
    other.send(b"POST /v3/lease/grant HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n" + b'{"TTL":60}')
    assert numbers(browser)["etcd_server_proposals_pending"] == 1


def test_watchers_are_counted(browser: Browser) -> None:
    watching = Browser(browser.node)
    watching.post("/v3/watch", b'{"create_request":{"key":"YQ=="}} {"create_request":{"key":"Yg=="}}')
    seen = numbers(browser)
    assert seen["etcd_debugging_mvcc_watcher_total"] == 2
    assert seen["etcd_debugging_mvcc_watch_stream_total"] == 1
    assert seen["etcd_debugging_mvcc_slow_watcher_total"] == 0


def test_calls_are_counted_by_how_they_end(browser: Browser) -> None:
    for body in (PUT, PUT, {}):
        browser.post("/v3/kv/put", body)
    browser.post("/v3/lease/keepalive", {"ID": 1})
    Caller(browser.node).ask("KV/Range", RangeRequest(b"foo"))
    seen = numbers(browser)
    put = 'grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"'
    alive = 'grpc_method="LeaseKeepAlive",grpc_service="etcdserverpb.Lease",grpc_type="bidi_stream"'
    assert seen[f"grpc_server_started_total{{{put}}}"] == 3
    assert seen[f'grpc_server_handled_total{{grpc_code="OK",{put}}}'] == 2
    assert seen[f'grpc_server_handled_total{{grpc_code="InvalidArgument",{put}}}'] == 1
    assert seen[f"grpc_server_started_total{{{alive}}}"] == 1
    assert seen[f'grpc_server_handled_total{{grpc_code="OK",{alive}}}'] == 1
    assert seen['etcd_server_client_requests_total{client_api_version="unknown",type="unary"}'] == 4
    assert seen['etcd_server_client_requests_total{client_api_version="unknown",type="stream"}'] == 1
    assert seen["etcd_mvcc_range_total"] == 1


def test_bytes_and_leases_are_counted(browser: Browser) -> None:
    other = Browser(browser.node)
    before = numbers(browser)
    for path in ("lease/grant", "lease/keepalive", "lease/revoke"):
        other.post(f"/v3/{path}", {"ID": 7, "TTL": 60})
    seen = numbers(browser)
    for what in ("granted", "renewed", "revoked"):
        assert seen[f"etcd_debugging_lease_{what}_total"] == 1, what
    sent, received = (f"etcd_network_client_grpc_{what}_bytes_total" for what in ("sent", "received"))
    assert seen[sent] - before[sent] > len(other.raw)
    assert seen[received] - before[received] > 300


def test_the_health_page_is_counted(browser: Browser) -> None:
    browser.get("/health")
    assert numbers(browser)["etcd_server_health_success"] == 1
    assert numbers(browser)["etcd_server_health_failures"] == 0


def test_leaders_are_counted(browser: Browser) -> None:
    browser.node.pass_ms(500)
    assert numbers(browser)["etcd_server_leader_changes_seen_total"] == 1


def test_the_text_of_a_label_may_hold_anything() -> None:
    family = Family("a", "gauge", "b", [({"y": 'say "\\" \n', "x": "1"}, 2.5), ({}, 3)])
    assert text_of([family]).decode() == (
        '# HELP a b\n# TYPE a gauge\na{x="1",y="say \\"\\\\\\" \\n"} 2.5\na 3\n'
    )
