"""Mixed into a machine of any protocol, as a mutant: whatever quorum it takes is too weak."""

from __future__ import annotations

from agreed.consensus.quorum import Quorum


class WeakQuorum:
    @property
    def quorum(self) -> Quorum:
        return self._weak

    @quorum.setter
    def quorum(self, quorum: Quorum) -> None:
        self.weaken(quorum)
        self._weak = quorum

    def weaken(self, quorum: Quorum) -> None:
        """Half of the voters are enough: the other half is a quorum as well, and knows nothing of it."""
        quorum._need = max(1, len(quorum.voters) // 2)
