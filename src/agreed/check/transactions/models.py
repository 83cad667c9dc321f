"""Models of consistency of transactions: which implies which, and what each forbids.

`WEAKER` has an arrow from a model to those that every history of it satisfies as well.  `FORBIDS` lists
what a model forbids by itself; with what the weaker ones forbid, that is all of it.  Sources: Adya (1999)
for the PL levels, Bailis et al. (2014), Cerone, Bernardi and Gotsman (2015) for the atomic ones, Daudjee
and Salem (2004, 2006) for sessions.

Of some models only a part can be told from histories of single keys: what read-atomic, update-atomic,
causal-cerone, prefix and parallel-snapshot-isolation forbid beyond their neighbours is more than is listed
here.  So such a model may be broken unnoticed; one that is ruled out is truly ruled out.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from agreed.check.transactions.anomalies import implied_by, implying
from agreed.errors import ConfigurationError

WEAKER: Final[Mapping[str, tuple[str, ...]]] = {
    "strict-serializable": ("serializable", "strong-snapshot-isolation", "strong-session-serializable"),
    "strong-session-serializable": ("serializable", "strong-session-snapshot-isolation"),
    "serializable": ("repeatable-read", "snapshot-isolation", "update-serializable", "view-serializable"),
    "update-serializable": ("forward-consistent-view",),
    "view-serializable": (),
    "repeatable-read": ("cursor-stability", "monotonic-atomic-view"),
    "strong-snapshot-isolation": ("strong-session-snapshot-isolation", "strong-read-committed"),
    "strong-session-snapshot-isolation": ("snapshot-isolation", "strong-session-read-committed"),
    "snapshot-isolation": (
        "forward-consistent-view",
        "monotonic-atomic-view",
        "monotonic-snapshot-read",
        "parallel-snapshot-isolation",
        "prefix",
    ),
    "forward-consistent-view": ("consistent-view",),
    "consistent-view": ("cursor-stability", "monotonic-view"),
    "parallel-snapshot-isolation": ("causal-cerone", "update-atomic"),
    "prefix": ("causal-cerone",),
    "causal-cerone": ("read-atomic",),
    "update-atomic": ("read-atomic",),
    "read-atomic": ("monotonic-atomic-view",),
    "cursor-stability": ("read-committed",),
    "monotonic-view": ("read-committed",),
    "monotonic-snapshot-read": ("read-committed",),
    "monotonic-atomic-view": ("read-committed",),
    "strong-read-committed": ("strong-session-read-committed", "strong-read-uncommitted"),
    "strong-session-read-committed": ("read-committed", "strong-session-read-uncommitted"),
    "read-committed": ("read-uncommitted",),
    "strong-read-uncommitted": ("strong-session-read-uncommitted",),
    "strong-session-read-uncommitted": ("read-uncommitted",),
    "read-uncommitted": (),
}

FORBIDS: Final[Mapping[str, tuple[str, ...]]] = {
    "read-uncommitted": ("G0", "duplicate-elements", "cyclic-versions", "garbage-read"),
    "strong-session-read-uncommitted": ("G0-process",),
    "strong-read-uncommitted": ("G0-realtime",),
    "read-committed": ("G1",),
    "strong-session-read-committed": ("G1c-process",),
    "strong-read-committed": ("G1c-realtime",),
    "cursor-stability": ("G1", "lost-update"),
    "consistent-view": ("G1", "G-single"),
    "read-atomic": ("internal", "G1a", "future-read"),
    "update-atomic": ("lost-update",),
    "snapshot-isolation": ("internal", "G1", "G-nonadjacent"),
    "strong-session-snapshot-isolation": ("internal", "G1-process", "G-nonadjacent-process"),
    "strong-snapshot-isolation": ("internal", "G1-realtime", "G-nonadjacent-realtime"),
    "repeatable-read": ("G1", "G2-item", "lost-update"),
    "serializable": ("internal", "G1", "G2"),
    "strong-session-serializable": ("G1-process", "G2-process"),
    "strict-serializable": ("G1-realtime", "G2-realtime"),
}

ALIASES: Final[Mapping[str, str]] = {
    "PL-1": "read-uncommitted",
    "PL-2": "read-committed",
    "PL-CS": "cursor-stability",
    "PL-2L": "monotonic-view",
    "PL-MSR": "monotonic-snapshot-read",
    "PL-2+": "consistent-view",
    "PL-FCV": "forward-consistent-view",
    "PL-2.99": "repeatable-read",
    "PL-SI": "snapshot-isolation",
    "PL-3U": "update-serializable",
    "PL-3": "serializable",
    "conflict-serializable": "serializable",
    "PL-SS": "strict-serializable",
    "strong-serializable": "strict-serializable",
}


def named(model: str) -> str:
    """The name under which a model stands here; ConfigurationError for one that does not."""
    name = ALIASES.get(model, model)
    if name not in WEAKER:
        raise ConfigurationError(
            f"{model!r} is no model of transactions; there are: {', '.join(sorted(WEAKER))}"
        )
    return name


@cache
def at_most(model: str) -> frozenset[str]:
    """The model, and all weaker ones."""
    found: set[str] = set()
    waiting = [named(model)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(WEAKER[name])
    return frozenset(found)


def forbidden(models: Iterable[str]) -> frozenset[str]:
    """Every anomaly that a history of all these models cannot have."""
    return implying(
        anomaly for model in models for name in at_most(model) for anomaly in FORBIDS.get(name, ())
    )


@cache
def impossible(anomalies: frozenset[str]) -> frozenset[str]:
    """Every model that a history with these anomalies is not of."""
    present = implied_by(anomalies)
    broken = frozenset(name for name, forbids in FORBIDS.items() if present.intersection(forbids))
    return frozenset(name for name in WEAKER if at_most(name) & broken)


def boundary(anomalies: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The weakest models that these anomalies rule out, and all other models that they rule out; by name."""
    ruled_out = impossible(anomalies)
    weakest = tuple(sorted(name for name in ruled_out if len(at_most(name) & ruled_out) == 1))
    return weakest, tuple(sorted(ruled_out.difference(weakest)))
