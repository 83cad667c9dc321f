"""etcd clients by TLS: gRPC and the gateway on one port, and who a client is by its certificate."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from agreed.cli.playground import Playground
from agreed.torture.processes import free_ports
from tests.acceptance.etcd.api import EtcdApi
from tests.acceptance.etcd.schema import pb
from tests.node.certified import Certified
from tests.node.running import running


class Served:
    def __init__(self, cluster: Playground, address: str, authority: Certified) -> None:
        self.cluster = cluster
        self.address = address
        self.authority = authority

    def api(self, name: str, authority: Certified | None = None) -> EtcdApi:
        """Who shows a certificate that says `name`, of this authority or another."""
        files = (authority or self.authority).sign("client", name, ())
        credentials = grpc.ssl_channel_credentials(
            self.authority.ca.read_bytes(), files.key.read_bytes(), files.certificate.read_bytes()
        )
        return EtcdApi(self.address, credentials=credentials)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("by-tls")
    ours = Certified(directory / "ours")
    files = ours.sign("server", "server")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    flags = ["--tls-certificate", str(files.certificate), "--tls-key", str(files.key)]
    flags += ["--tls-ca", str(ours.ca), "--etcd-tls", address]
    with running(directory / "nodes", *flags, size=1) as cluster:
        yield Served(cluster, address, ours)


def test_grpc_by_mutual_tls(served: Served) -> None:
    with served.api("alice") as api:
        api.call("Put", key=b"by-tls", value=b"x")
        assert api.call("Range", key=b"by-tls").kvs[0].value == b"x"


def test_a_client_without_a_certificate_of_ours_is_refused(served: Served, tmp_path: Path) -> None:
    with served.api("alice", Certified(tmp_path / "theirs")) as api, pytest.raises(grpc.RpcError) as refused:
        api.call("Put", key=b"by-tls", value=b"x")
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_gateway_answers_on_the_same_port(served: Served) -> None:
    files = served.authority.sign("client", "curl", ())
    context = ssl.create_default_context(cafile=str(served.authority.ca))
    context.load_cert_chain(files.certificate, files.key)
    url = f"https://{served.address}/version"
    with urllib.request.urlopen(url, timeout=30, context=context) as answer:
        assert "etcdserver" in json.load(answer)


def test_the_common_name_is_the_user(served: Served) -> None:
    """Once users are switched on: alice may write below /alice/, mallory is nobody, root may do all."""
    with served.api("root") as root:
        root.call("UserAdd", name="root", options=pb.UserAddOptions(no_password=True))
        for name in ("root", "alice"):
            root.call("RoleAdd", name=name)
        root.call("UserAdd", name="alice", options=pb.UserAddOptions(no_password=True))
        permission = pb.Permission(permType=2, key=b"/alice/", range_end=b"/alice0")
        root.call("RoleGrantPermission", name="alice", perm=permission)
        root.call("UserGrantRole", user="root", role="root")
        root.call("UserGrantRole", user="alice", role="alice")
        root.call("AuthEnable")
        try:
            with served.api("alice") as alice, served.api("mallory") as mallory:
                alice.call("Put", key=b"/alice/x", value=b"1")
                for who, key in ((alice, b"/other"), (mallory, b"/alice/x")):
                    with pytest.raises(grpc.RpcError) as refused:
                        who.call("Put", key=key, value=b"2")
                    assert refused.value.code() in (
                        grpc.StatusCode.PERMISSION_DENIED,
                        grpc.StatusCode.INVALID_ARGUMENT,
                    )
                root.call("Put", key=b"/other", value=b"3")
        finally:
            root.call("AuthDisable")
