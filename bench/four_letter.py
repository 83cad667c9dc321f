"""Whether a node serves, and who leads, asked as an operator would: the four-letter word `srvr` on the client
port, which ZooKeeper answers by default and so do we."""

from __future__ import annotations

import re
import socket

import msgspec


class ServerState(msgspec.Struct, frozen=True):
    """What `srvr` says.  `mode` is leader or follower (other words: not serving)."""

    mode: str
    zxid: int
    nodes: int


def ask_state(port: int, timeout_s: float = 2.0) -> ServerState | None:
    """None if nobody answers, or the node does not serve."""
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(b"srvr")
            while piece := connection.recv(4096):
                answer += piece
    except OSError:
        return None
    return read_state(answer.decode(errors="replace"))


def read_state(text: str) -> ServerState | None:
    mode = re.search(r"^Mode: (\S+)", text, re.MULTILINE)
    zxid = re.search(r"^Zxid: 0x([0-9a-f]+)", text, re.MULTILINE)
    nodes = re.search(r"^Node count: (\d+)", text, re.MULTILINE)
    if mode is None or zxid is None:
        return None
    return ServerState(mode[1], int(zxid[1], 16), int(nodes[1]) if nodes else 0)
