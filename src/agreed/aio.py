"""The asynchronous face of a coordination service.

    client = await agreed.aio.connect("etcd://127.0.0.1:2379/app")

`agreed.connect` is the synchronous one, and has the same names.
"""

from __future__ import annotations

from agreed.coordination.client import Client, connect

__all__ = ["Client", "connect"]
