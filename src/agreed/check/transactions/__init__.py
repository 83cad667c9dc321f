"""Was this history of transactions possible under the model of consistency that was promised?

    list_append(history, options)    transactions that append to lists and read them
    rw_register(history, options)    transactions that write registers and read them
    bank(history)                    transfers between accounts: what is read adds up to the same
    long_fork(history)               reads of groups of keys: all agree on an order of the writes

The first two are checkers in the manner of Elle (Kingsbury and Alvaro, VLDB 2020): from unique writes they
infer what each transaction depended on, and look for circles (`cycles`) and for what shows without one
(`isolation`).  What is found has the names of the literature (`anomalies`), and rules out models of
consistency (`models`).

    micro       transactions, and who wrote what
    versions    in which order the versions of a key came
    graph       what comes before what, and its knots
    judge       from there to a verdict
    replay      an independent look at every finding; `serial`, at every order that explains a history

What is found is there: no violation is claimed of a history that has an explanation.  The converse is true
only where the order of versions is known; `list_append` and `rw_register` say where.  Time grows about
linearly with the history.
"""
from __future__ import annotations

from agreed.check.transactions.bank import bank
from agreed.check.transactions.list_append import list_append
from agreed.check.transactions.long_fork import long_fork
from agreed.check.transactions.options import Options
from agreed.check.transactions.rw_register import rw_register

__all__ = ["Options", "bank", "list_append", "long_fork", "rw_register"]
