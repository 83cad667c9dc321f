"""What etcd v3 clients say, as of etcd 3.6: messages, their two encodings, the table of methods, the errors.

    messages/         the messages, with etcd's own names; numbers and types of fields in annotations
    protobuf.py       messages to and from bytes, as gRPC carries them; its two halves are
                      protobuf_encoding.py and protobuf_decoding.py, its numbers varint.py
    json_mapping.py   messages to and from JSON, as etcd's gateway writes and reads it
    json_syntax.py    what is wrong with JSON in Go's words; several values in one body
    services.py       every method: its path, its kind, its request and reply, its routes on the gateway
    errors.py         the statuses that clients know by heart, code and text
"""
