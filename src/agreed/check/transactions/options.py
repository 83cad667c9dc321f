"""What is asked of a history of transactions, and what may be taken for granted."""
from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agreed.check.transactions.anomalies import IMPLIES, implying
from agreed.check.transactions.models import forbidden, named
from agreed.check.verdict import Budget
from agreed.errors import ConfigurationError


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Without models and anomalies, strict-serializable is asked for.

    The last five say what orders the versions of a key.  Lists need none of them: a read of a list tells its
    order.  Registers do: without them a checker knows little more than that nothing came before the first
    write."""

    models: Sequence[str] = ()
    anomalies: Sequence[str] = ()
    """To be looked for, whether a model that is asked for forbids them or not."""
    budget: Budget | None = None

    revisions: bool = True
    """Writes of one key came in the order of `Operation.revision`, where that is known.  With it a register
    is as telling as a list, and a server that lies about its order is found out."""
    writes_follow_reads_keys: bool = False
    """Registers: a transaction that reads a key and then writes it wrote the later version.  True in every
    model from read-committed up; switch it on unless the system promises less."""
    sequential_keys: bool = False
    """Registers: each process sees the versions of each key in their order.  An assumption about the system:
    where it is wrong, cyclic-versions are found."""
    linearizable_keys: bool = False
    """Registers: what returns before another is called saw no later version of any key.  Likewise."""
    garbage_reads: bool = False
    """Registers: a read of a value that nobody wrote is an anomaly.  Not so by default, because a recording
    may have begun after some writes; switch it on where it did not.  (Lists: always, since appended
    elements say where they come from.)"""

    def asked_models(self) -> tuple[str, ...]:
        """ConfigurationError for one that does not exist."""
        if not self.models and not self.anomalies:
            return ("strict-serializable",)
        return tuple(named(model) for model in self.models)

    def sought(self) -> frozenset[str]:
        """Every anomaly that would be a no to what is asked; ConfigurationError for a name that is none."""
        for name in self.anomalies:
            if name not in IMPLIES:
                raise ConfigurationError(f"{name!r} is no anomaly; there are: {', '.join(sorted(IMPLIES))}")
        return forbidden(self.asked_models()) | implying(self.anomalies)

    def judged(self) -> str:
        return ", ".join((*self.asked_models(), *(f"no {name}" for name in self.anomalies)))
