"""The client protocol of ZooKeeper 3.9, as its clients speak it without knowing that we are not ZooKeeper.

`messages.py` and `replies.py` are what can be said, `codec.py`, `request_codec.py` and `reply_codec.py` its
bytes, `connection.py` the stream, for both of its ends.  `translate.py` turns requests into commands and
results into replies, `reads.py` answers from the store, `watches.py` tells what was seen, `credentials.py`
and `sasl.py` who asks.  `four_letter.py` is for operators, `config_text.py` for who belongs to the ensemble.
"""
