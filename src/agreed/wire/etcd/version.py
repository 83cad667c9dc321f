"""The versions that clients of etcd are told.

Some read them: kube-apiserver asks for watch progress from 3.5.13 on only, Patroni takes each part for a
number.  What is told is the version whose behaviour and texts are those here where versions differ.
"""

from __future__ import annotations

from typing import Final

SERVER_VERSION: Final = "3.5.13"
CLUSTER_VERSION: Final = "3.5.0"
