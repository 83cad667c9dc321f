"""The synchronous face of recipes and client; written by `tools/write_synchronous.py`."""

from __future__ import annotations

from agreed.coordination.synchronous.client import Client, connect

__all__ = ["Client", "connect"]
