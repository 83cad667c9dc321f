"""What clients do while everything breaks: one file for each kind of work, and who judges it.

`workload.py` says what a workload is; `table.py` lists them by name.
"""
