"""A pytest plugin: kazoo's own test harness starts our server where it would start ZooKeeper's.

The harness keeps everything else: it picks ports, makes certificates, writes a configuration file, starts
three nodes, stops and restarts them, and throws their data away.  Only the command changes: a process whose
first word is `java` is started as `python -m agreed serve`, with flags that say what the configuration file
says.  No file of kazoo is edited and no test is touched.

The variable KAZOO_SUITE_LOGS names a directory for what the servers say; AGREED_CONSENSUS names the protocol
by which they agree (`cluster.py`).
"""
from __future__ import annotations

import base64
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from typing import Any

import jks  # type: ignore[import-untyped]
from kazoo.testing import common

from agreed.torture.launch import ends_with_us
from tests.acceptance.cluster import CONSENSUS

LOOPBACK = "127.0.0.1"
STORE_PASSWORD = "apassword"


def read_configuration(file: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in file.read_text().splitlines())
    return {key.strip(): value.strip() for key, separator, value in lines if separator}


def property_of(arguments: list[str], name: str) -> str | None:
    """The value of `-Dname=value`."""
    prefix = f"-D{name}="
    values = (argument.removeprefix(prefix) for argument in arguments if argument.startswith(prefix))
    return next(values, None)


def write_pem_files(configuration: dict[str, str], directory: Path) -> tuple[Path, Path, Path]:
    """Certificate, key and authority out of the two Java key stores."""
    keys = jks.KeyStore.load(configuration["ssl.keyStore.location"], STORE_PASSWORD)
    trusted = jks.KeyStore.load(configuration["ssl.trustStore.location"], STORE_PASSWORD)
    (entry,) = keys.private_keys.values()
    certificate, key, authority = (directory / name for name in ("server.pem", "server-key.pem", "ca.pem"))
    certificate.write_text("".join(DER_cert_to_PEM_cert(der) for _, der in entry.cert_chain))
    body = "\n".join(textwrap.wrap(base64.b64encode(entry.pkey_pkcs8).decode(), 64))
    key.write_text(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    key.chmod(0o600)
    authority.write_text("".join(DER_cert_to_PEM_cert(item.cert) for item in trusted.certs.values()))
    return certificate, key, authority


def peers_in(configuration: dict[str, str], client_ports: dict[str, int]) -> str:
    peers = []
    for key, value in configuration.items():
        if key.startswith("server."):
            name = key.removeprefix("server.")
            leader_port = value.split(":")[1]
            peers.append(f"{name}={LOOPBACK}:{leader_port};{LOOPBACK}:{client_ports[name]}")
    return ",".join(sorted(peers))


def client_ports_in(configuration: dict[str, str], own_name: str) -> dict[str, int]:
    """Each node's client port; the file has our own only, and the harness spaces them ten apart."""
    own = int(configuration["clientPort"])
    names = [key.removeprefix("server.") for key in configuration if key.startswith("server.")]
    return {name: own + 10 * (int(name) - int(own_name)) for name in names}


def our_command(arguments: list[str]) -> list[str]:
    """`agreed serve ...` for the java command that the harness would run."""
    file = Path(arguments[-1])
    work = file.parent
    configuration = read_configuration(file)
    name = (work / "data" / "myid").read_text().strip()
    certificate, key, authority = write_pem_files(configuration, work)
    command = [
        *(sys.executable, "-m", "agreed", "serve"),
        *("--name", name),
        # below the directory that the harness empties to make a node forget; `myid` lies there too
        *("--data", str(work / "data" / "agreed")),
        *("--peers", peers_in(configuration, client_ports_in(configuration, name))),
        *("--zookeeper", f"{LOOPBACK}:{configuration['clientPort']}"),
        *("--zookeeper-tls", f"{LOOPBACK}:{configuration['secureClientPort']}"),
        *("--consensus", CONSENSUS),
        *("--tls-certificate", str(certificate), "--tls-key", str(key), "--tls-ca", str(authority)),
    ]
    digest = property_of(arguments, "zookeeper.DigestAuthenticationProvider.superDigest")
    if digest:
        command += ["--super-digest", digest]
    jaas = work / "jaas.conf"
    if jaas.read_text().strip():
        command += ["--jaas", str(jaas)]
    if property_of(arguments, "readonlymode.enabled") == "true":
        command.append("--read-only-mode")
    return command


class ServerProcess(subprocess.Popen[bytes]):
    """What `subprocess.Popen` is for everybody, and our server for whoever asks for java."""

    def __init__(self, args: Any, **options: Any) -> None:
        if isinstance(args, list) and args and args[0] == "java":
            args = our_command(args)
            logs = Path(os.environ["KAZOO_SUITE_LOGS"])
            log = (logs / f"node{args[args.index('--name') + 1]}.log").open("ab")
            log.write(f"--- {' '.join(args)}\n".encode())
            log.flush()
            options |= {"stdout": log, "stderr": subprocess.STDOUT}
            args = ends_with_us(args)
        super().__init__(args, **options)


class SubprocessModule:
    """The module `subprocess` as kazoo's harness sees it."""

    Popen = ServerProcess

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)


common.subprocess = SubprocessModule()
