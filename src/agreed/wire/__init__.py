"""What is said to others: bytes to messages, messages to commands, results to bytes; pure.

Each protocol is a package with the same files: `codec.py` (bytes), `messages.py` (one class per request and
reply), `connection.py` (framing, order; both sides of the wire) and `translate.py` (messages <-> store).
"""
