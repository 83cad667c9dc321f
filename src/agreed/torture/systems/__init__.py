"""The systems that can be tortured: how a node of each is started, told from others, and asked.

`system.py` says what has to be known of one; `agreed_nodes.py`, `zookeeper.py` and `etcd.py` know it.
"""
