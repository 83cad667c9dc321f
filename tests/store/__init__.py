"""The store, file by file; `naive.py` is a second, slow state machine to compare it with."""
