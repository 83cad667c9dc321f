"""gRPC over HTTP/2, both sides: calls with messages in, a status at the end.

    status.py      the codes, and the text that goes with one
    trailers.py    a status as header fields, and back
    timeouts.py    `grpc-timeout`
    requests.py    what the header fields of a call say
    messages.py    messages within the stream of bytes of a call
    events.py      what the two connections tell
    server.py      one connection with a client
    client.py      one connection with a server

No compression (`identity` alone, and the other side is told so), no reflection, no retries.
"""
