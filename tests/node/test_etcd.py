"""Three nodes and a client of the etcd API that shares nothing with ours: any node will do, also after one
is killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from agreed.cli.playground import Playground
from tests.acceptance.etcd.api import EtcdApi
from tests.node.running import DEADLINE_S, leading, wait_until

HELD_S = 60
"""Of a lease that is renewed: a machine that stands still for seconds does not end it."""

FORGOTTEN_S = 4


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Playground]:
    with Playground(tmp_path, etcd=True) as cluster:
        cluster.start_all()
        cluster.wait_until_serving(DEADLINE_S)
        yield cluster


def test_any_node_will_do_and_leases_outlive_the_leader(cluster: Playground) -> None:
    with ExitStack() as stack:
        addresses = {name: place.etcd_address or "" for name, place in cluster.places.items()}
        apis = {name: stack.enter_context(EtcdApi(address)) for name, address in addresses.items()}
        for name, api in apis.items():
            api.call("Put", key=name.encode(), value=b"1")
            # What one node has acknowledged every other shows.
            for other in apis.values():
                assert other.call("Range", key=name.encode()).count == 1
        leader = leading(cluster)
        followers = {name: api for name, api in apis.items() if name != leader}
        one, other = followers.values()
        lease = one.call("LeaseGrant", TTL=HELD_S).ID
        one.call("Put", key=b"held", lease=lease)
        granting_at = time.monotonic()
        one.call("Put", key=b"forgotten", lease=one.call("LeaseGrant", TTL=FORGOTTEN_S).ID)
        with other.stream("LeaseKeepAlive") as renewing:
            renewing.send(ID=lease)
            assert renewing.next().TTL == HELD_S
            killed_at = time.monotonic()
            cluster.kill(leader)
            lived = time.monotonic() < granting_at + FORGOTTEN_S

            def renewed() -> bool:
                renewing.send(ID=lease)
                return bool(renewing.next().TTL == HELD_S)

            wait_until(renewed, "the lease is renewed under another leader")
            told = other.call("LeaseTimeToLive", ID=lease, keys=True)
            assert (list(told.keys), told.grantedTTL) == ([b"held"], HELD_S)

            def gone() -> bool:
                assert renewed()
                time.sleep(0.2)
                return one.call("Range", key=b"forgotten").count == 0

            wait_until(gone, "the lease that nobody renews ends")
            # A new leader gives full time, so it ends no sooner than that after the old one's death.
            assert time.monotonic() - killed_at >= FORGOTTEN_S - 1 or not lived
        assert one.call("Range", key=b"held").count == 1
        assert one.call("LeaseRevoke", ID=lease).header.revision
        assert other.call("Range", key=b"held").count == 0


def test_without_a_majority_nothing_is_promised_but_what_is_known_is_told(cluster: Playground) -> None:
    leader = leading(cluster)
    for name in [name for name in cluster.places if name != leader]:
        cluster.kill(name)
    with EtcdApi(cluster.places[leader].etcd_address or "") as api:
        assert api.call("Range", key=b"a", serializable=True).count == 0
        for method in ("Range", "Put"):
            with pytest.raises(grpc.RpcError) as refused:
                api.call(method, key=b"a", timeout_s=0.5)
            assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

        def told() -> bool:
            try:
                api.call("Range", key=b"a", metadata=(("hasleader", "true"),), timeout_s=1.0)
            except grpc.RpcError as error:
                return bool(error.details() == "etcdserver: no leader")
            return False

        wait_until(told, "the node knows that nobody leads")
