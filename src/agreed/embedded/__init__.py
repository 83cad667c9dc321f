"""A node in this process.

    lone_node.py        a cluster of one that lives in memory: replica, Raft and store, without disk and peers
    clock.py            a time of its own for such a node, which moves when it is told to
    transport.py        connections that are no sockets
    memory.py           memory://NAME, for all of this process
    file.py             file:///DIRECTORY, for the processes of one machine
    node.py             agreed.Node, and node://NAME/DIRECTORY: a member of a cluster
    server_thread.py    a whole server on a thread of its own
    dialled.py          how a node that is not reached by host and port becomes a backend

The nodes are real ones: what they answer comes from the same code as in a server.
"""
