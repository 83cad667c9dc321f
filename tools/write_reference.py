"""Put the table of knobs into README.md, from the declarations in `agreed.node.config`.

    .venv/bin/python tools/write_reference.py

`tests/test_docs.py` says when this is due.
"""
from __future__ import annotations

from pathlib import Path

from agreed.node.reference import reference

README = Path(__file__).resolve().parent.parent / "README.md"

BEGIN = "<!-- the table is made from src/agreed/node/config.py by tools/write_reference.py -->\n"
END = "\n## Limits\n"


def with_reference(text: str) -> str:
    """The text with the present table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit("README.md has lost the marks between which the table stands")
    return f"{before}{BEGIN}\n{reference()}{end}{after}"


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text(encoding="utf-8")), encoding="utf-8")
