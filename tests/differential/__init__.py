"""The same random requests to a real server and to ours; every field of every answer is compared.

`zookeeper` and `etcd` know how a script of the one protocol is drawn and played, and what counts as a
difference; what they share stands here: scripts, how they are shrunk, when a difference is one
(`comparison`), and the long runs that look for them (`campaign`).
"""
