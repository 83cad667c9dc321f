"""The version of this package, for whoever tells it to others; `agreed.__version__` is the same."""
from __future__ import annotations

VERSION = "0.1.0"
