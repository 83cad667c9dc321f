"""The objects that a history can be about, each as a sequential machine (`model.py`).

A model of one's own is a subclass of `Model` with `initial`, `effect` and `step`.
"""
from __future__ import annotations

from collections.abc import Callable

from agreed.check.models.bank import Bank
from agreed.check.models.counter import Counter
from agreed.check.models.key_value import KeyValue
from agreed.check.models.keyed import Keyed
from agreed.check.models.locks import Lock, Mutex
from agreed.check.models.model import AnyModel, Model
from agreed.check.models.multi_register import MultiRegister
from agreed.check.models.queues import FifoQueue, Queue
from agreed.check.models.register import CasRegister, Register
from agreed.check.models.sets import Set
from agreed.check.models.tree import Tree

MODELS: dict[str, Callable[[object], AnyModel]] = {
    "register": Register,
    "cas-register": CasRegister,
    "multi-register": MultiRegister,
    "key-value": KeyValue,
    "set": Set,
    "queue": Queue,
    "fifo-queue": FifoQueue,
    "mutex": Mutex,
    "lock": Lock,
    "counter": Counter,
    "bank": Bank,
    "tree": Tree,
}
"""By name: makes the model from what it begins with (None: as it begins by itself)."""

__all__ = [
    "MODELS",
    "AnyModel",
    "Bank",
    "CasRegister",
    "Counter",
    "FifoQueue",
    "KeyValue",
    "Keyed",
    "Lock",
    "Model",
    "MultiRegister",
    "Mutex",
    "Queue",
    "Register",
    "Set",
    "Tree",
]
