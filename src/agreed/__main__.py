"""`python -m agreed`: the same as the command `agreed`."""
from __future__ import annotations

from agreed.cli.main import main

if __name__ == "__main__":
    main()
