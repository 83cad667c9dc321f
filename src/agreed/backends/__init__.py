"""One contract for coordination services, and each of them behind it.

    contract.py     what recipes need: entries, commits, lines to stand in, sessions, changes
    zookeeper/      ZooKeeper, and clusters of this package
    etcd/           etcd v3, and clusters of this package by its protocol

It promises what `contract.py` says and no more; locks, elections and the like are made of it elsewhere, and
know nothing of protocols.
"""
