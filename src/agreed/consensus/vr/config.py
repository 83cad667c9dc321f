"""The knobs of Viewstamped Replication beside those that every protocol has.

A replica that has heard no primary for a random time of `election_timeout_ms` asks for the next view, and one
whose view change does not come to an end for the one after it.
"""
from __future__ import annotations

from agreed.consensus.config import CommonConfig
from agreed.errors import ConfigurationError


class VrConfig(CommonConfig, frozen=True, kw_only=True):
    """Raises ConfigurationError where the knobs contradict each other."""

    recovery_without_disk: bool = False
    """Nothing is saved; a replica that comes back asks the others what it knew (section 4.3).  All that is
    agreed is lost when more than f replicas are down or recovering at one time."""

    founding: bool = False
    """Only without a disk: this is the very first start of the cluster, in which nobody has anything to
    recover.  A replica cannot find that out itself: an empty memory looks the same before the first operation
    and after the loss of a million.  Whoever says so at a later start loses what was agreed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.founding and not self.recovery_without_disk:
            raise ConfigurationError("founding is said only where recovery_without_disk is on")
