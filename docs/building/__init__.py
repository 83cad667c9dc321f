"""What the site needs besides the pages: a table of contents, and the reference of modules.

    contents.py       the table of contents, from the links of the index
    modules.py        what stands in a module, below the page that names it
    docstrings.py     docstrings as reStructuredText

All of it is text in and text out, so that tests need no Sphinx.
"""
