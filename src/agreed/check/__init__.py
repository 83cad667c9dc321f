"""The judge: was this history possible?  For any system, not only ours.

A history (`history.py`) is what clients saw: what each asked, when, and what it was told.  A checker takes
one and answers with a verdict (`verdict.py`): it holds, with an order that explains it; it is violated, with
the smallest piece that cannot be; or unknown, with the reason.

This package knows nothing of our servers, and touches no clock, file or socket: bounds on time are counted by
a clock that is passed in.
"""
from __future__ import annotations

from agreed.check.linearizable import linearizable

__all__ = ["linearizable"]
