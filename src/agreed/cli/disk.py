"""`agreed disk`: look into a data directory without changing it (`disk/inspect.py`)."""
from __future__ import annotations
