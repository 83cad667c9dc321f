"""What the knobs of the etcd API mean to the replica: addresses as URLs, spans of time, tokens."""
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agreed.errors import ConfigurationError
from agreed.node.jwt import signer
from agreed.node.values import split_address

if TYPE_CHECKING:
    from agreed.node.config import Config

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


def client_urls(config: Config) -> tuple[str, ...] | None:
    """What members are told of this one; None where no etcd client can connect, or any port will do and it is
    not known yet which."""
    if config.etcd is None and config.etcd_tls is None:
        return None
    if config.etcd_advertise:
        return config.etcd_advertise
    both = (("https", config.etcd_tls), ("http", config.etcd))
    listening = [(scheme, address) for scheme, address in both if address is not None]
    if any(split_address(address)[1] == 0 for _, address in listening):
        return None
    return tuple(f"{scheme}://{_reachable(address)}" for scheme, address in listening)


def _reachable(address: str) -> str:
    """Nobody can connect to "everywhere"; who listens there is asked to say where it is."""
    host, port = split_address(address)
    host = host if host not in ("0.0.0.0", "::", "") else "localhost"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def retention(config: Config) -> int:
    """Milliseconds, or revisions.  Raises `ConfigurationError`."""
    text = config.etcd_auto_compaction_retention
    periodic = config.etcd_auto_compaction_mode == "periodic"
    if re.fullmatch(r"\d{1,12}", text, re.ASCII):
        return int(text) * (_UNITS_MS["h"] if periodic else 1)
    if periodic and re.fullmatch(r"(\d{1,9}(ms|s|m|h))+", text, re.ASCII):
        return sum(int(number) * _UNITS_MS[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h)", text))
    form = "a span as 8h, 1h30m or 90s, or hours" if periodic else "a number of revisions"
    raise ConfigurationError(f"etcd_auto_compaction_retention: {text!r} is not {form}")


def etcd_settings(config: Config) -> dict[str, Any]:
    """Of `replica.settings.Settings`.  Raises `ConfigurationError`."""
    return {
        "etcd_client_urls": client_urls(config),
        "znode_view": config.znode_view,
        "etcd_quota_bytes": config.etcd_quota_bytes,
        "etcd_auto_compaction_mode": config.etcd_auto_compaction_mode,
        "etcd_auto_compaction_retention": retention(config),
        "etcd_max_request_bytes": config.etcd_max_request_bytes,
        "etcd_max_txn_ops": config.etcd_max_txn_ops,
        "watch_progress_ms": config.etcd_watch_progress_s * 1000,
        "watch_backlog_bytes": config.etcd_watch_backlog_bytes,
        "etcd_bcrypt_cost": config.etcd_bcrypt_cost,
        "etcd_token_ttl_ms": config.etcd_auth_token_ttl_s * 1000,
        "etcd_jwt": signer(config.etcd_auth_token),
    }
