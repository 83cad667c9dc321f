"""HTTP/2 (RFC 9113) without a socket, both sides: streams, windows, and the manners that keep a server alive.

    frames.py      the bytes of frames, and the numbers in them
    fields.py      header fields: compression, rules, blocks kept by their bytes
    limits.py      what a peer may do, and how often
    faults.py      what it may not
    events.py      what a connection tells
    streams.py     one stream: what each side may still say on it
    sending.py     windows of the peer, what waits for them, and who is next
    speaking.py    what both sides have in common: what is said
    connection.py  and the frames as they come in
    server.py      and the two sides
    client.py

What is not here: server push (the client forbids it, the server does not do it), priorities (parsed and
ignored, as RFC 9113 wants it), CONNECT, upgrades from HTTP/1.1, and whatever a call means.
"""
