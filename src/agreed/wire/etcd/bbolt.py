"""The file of a bbolt database, which an etcd keeps its state in and which its snapshots are: both ways.

    Writing(buckets).pieces()      -> bytes, bytes, ...     a whole file, pieces of any size; b"" is "not yet"
    Reading(data).buckets()        -> names;  .bucket(name) -> (key, value), (key, value), ... in order

A bbolt file is a sequence of pages.  Pages 0 and 1 are the same *meta* page twice (the one with the higher
transaction number counts); it names the page of the root bucket and that of the free list.  A bucket is a
B+tree: leaf pages hold keys and values, branch pages the first key and the number of each page below.  The
values of the root bucket are the other buckets, each with the number of its own root page.  What does not fit
one page goes on in the following ones (`overflow`).

Only files are written in which no page is free and no bucket is nested deeper than that: what a fresh copy
of a database looks like.  All that can be read is what etcd writes: buckets one level deep, also those so
small that they stand within the root bucket.

A file must name its root before all else, and says so on its first page.  So it is made in two passes over
the same entries: the first only adds up sizes.  Format: bbolt's `page.go`, `db.go` (meta), `bucket.go`.
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from agreed.errors import MalformedInput

PAGE_BYTES: Final = 4096
MAGIC: Final = 0xED0CDAED
VERSION: Final = 2

_BRANCH: Final = 0x01
_LEAF: Final = 0x02
_META: Final = 0x04
_FREELIST: Final = 0x10
_IS_BUCKET: Final = 0x01
_NO_FREELIST: Final = (1 << 64) - 1

_PAGE = struct.Struct("<QHHI")  # id, flags, count, overflow
_LEAF_ELEMENT = struct.Struct("<IIII")  # flags, position, size of the key, size of the value
_BRANCH_ELEMENT = struct.Struct("<IIQ")  # position, size of the key, page
_META_FIELDS = struct.Struct("<IIIIQQQQQ")  # magic .. transaction number; the checksum follows
_BUCKET = struct.Struct("<QQ")  # root page (0: the page follows right here), sequence
_NUMBER = struct.Struct("<Q")

_ELEMENTS_MOST: Final = 0xFFFF - 1
_REST_EVERY: Final = 500
_REST_EVERY_BYTES: Final = 256 * 1024
"""Entries of the first pass, or their size, between two moments at which whoever asks may do something
else."""


class Bucket(NamedTuple):
    """`entries` gives the same entries each time it is called, sorted by key; `sizes` the lengths of their
    keys and values, and every key itself."""

    name: bytes
    entries: Callable[[], Iterable[tuple[bytes, bytes]]]
    sizes: Callable[[], Iterable[tuple[bytes, int]]]


def bucket(name: bytes, content: dict[bytes, bytes]) -> Bucket:
    """A small one, from memory."""
    entries = sorted(content.items())
    return Bucket(name, lambda: entries, lambda: [(key, len(value)) for key, value in entries])


class _Leaf(NamedTuple):
    """What the first pass remembers of a leaf: the key it begins with, how many entries, how many pages."""

    first: bytes
    held: int
    pages: int


class Writing:
    """One file.  `size_bytes` is right once `planned`."""

    def __init__(self, buckets: Iterable[Bucket]) -> None:
        self._buckets = sorted(buckets, key=lambda each: each.name)
        self._next_page = 2
        self.size_bytes = 0

    def pieces(self) -> Iterator[bytes]:
        """b"" where nothing is ready yet: pieces of the first pass.  The pages come in the order of their
        numbers."""
        plans: list[list[_Leaf]] = []
        for each in self._buckets:
            leaves: list[_Leaf] = []
            for leaf in _leaves(each.sizes()):
                if leaf is not None:
                    leaves.append(leaf)
                else:
                    yield b""
            plans.append(leaves)
        freelist = self._take(1)
        trees = [_Tree(leaves, self._take) for leaves in plans]
        root_entries = [
            (each.name, _BUCKET.pack(tree.root, 0))
            for each, tree in zip(self._buckets, trees, strict=True)
        ]
        root_leaves = [
            leaf
            for leaf in _leaves([(name, len(value)) for name, value in root_entries])
            if leaf is not None
        ]
        root = _Tree(root_leaves, self._take)
        self.size_bytes = self._next_page * PAGE_BYTES
        for number in (0, 1):
            yield _meta_page(number, root.root, freelist, self._next_page)
        yield _padded(_PAGE.pack(freelist, _FREELIST, 0, 0), 1)
        for each, tree in zip(self._buckets, trees, strict=True):
            yield from tree.pages(each.entries(), 0)
        yield from root.pages(root_entries, _IS_BUCKET)

    def _take(self, pages: int) -> int:
        first = self._next_page
        self._next_page += pages
        return first


def _leaves(sizes: Iterable[tuple[bytes, int]]) -> Iterator[_Leaf | None]:
    """Entries are put into a page while they fit; one that fits none has pages of its own."""
    first, count, size = b"", 0, _PAGE.size
    entries = unrested_bytes = 0
    for key, value_size in sizes:
        entry = _LEAF_ELEMENT.size + len(key) + value_size
        if count and (size + entry > PAGE_BYTES or count == _ELEMENTS_MOST):
            yield _Leaf(first, count, _pages_for(size))
            count, size = 0, _PAGE.size
        if not count:
            first = key
        count += 1
        size += entry
        entries += 1
        unrested_bytes += entry
        if entries == _REST_EVERY or unrested_bytes >= _REST_EVERY_BYTES:
            entries = unrested_bytes = 0
            yield None
    yield _Leaf(first, count, _pages_for(size))


def _pages_for(size: int) -> int:
    return -(-size // PAGE_BYTES)


class _Tree:
    """One bucket: its leaves, and the branches above them, each with the number of its first page."""

    def __init__(self, leaves: list[_Leaf], take: Callable[[int], int]) -> None:
        self._leaves = [(leaf, take(leaf.pages)) for leaf in leaves]
        self._branches: list[tuple[int, int, list[tuple[bytes, int]]]] = []
        below = [(leaf.first, page) for leaf, page in self._leaves]
        while len(below) > 1:
            above: list[tuple[bytes, int]] = []
            for children, size in _branches(below):
                page = take(_pages_for(size))
                self._branches.append((page, size, children))
                above.append((children[0][0], page))
            below = above
        self.root = below[0][1]

    def pages(self, entries: Iterable[tuple[bytes, bytes]], flags: int) -> Iterator[bytes]:
        coming = iter(entries)
        for leaf, page in self._leaves:
            held = [entry for _, entry in zip(range(leaf.held), coming, strict=False)]
            yield _leaf_page(page, leaf, held, flags)
        for page, size, children in self._branches:
            yield _branch_page(page, size, children)


def _branches(below: list[tuple[bytes, int]]) -> Iterator[tuple[list[tuple[bytes, int]], int]]:
    """At least two children each but for the last: else a long key would make a tree without end."""
    children: list[tuple[bytes, int]] = []
    size = _PAGE.size
    for key, page in below:
        element = _BRANCH_ELEMENT.size + len(key)
        if len(children) > 1 and (size + element > PAGE_BYTES or len(children) == _ELEMENTS_MOST):
            yield children, size
            children, size = [], _PAGE.size
        children.append((key, page))
        size += element
    yield children, size


def _leaf_page(page: int, leaf: _Leaf, entries: list[tuple[bytes, bytes]], flags: int) -> bytes:
    elements: list[bytes] = []
    contents: list[bytes] = []
    position = len(entries) * _LEAF_ELEMENT.size
    for number, (key, value) in enumerate(entries):
        offset = position - number * _LEAF_ELEMENT.size
        elements.append(_LEAF_ELEMENT.pack(flags, offset, len(key), len(value)))
        contents += (key, value)
        position += len(key) + len(value)
    head = _PAGE.pack(page, _LEAF, len(entries), leaf.pages - 1)
    return _padded(b"".join((head, *elements, *contents)), leaf.pages)


def _branch_page(page: int, size: int, children: list[tuple[bytes, int]]) -> bytes:
    pages = _pages_for(size)
    elements: list[bytes] = []
    position = len(children) * _BRANCH_ELEMENT.size
    for number, (key, child) in enumerate(children):
        elements.append(
            _BRANCH_ELEMENT.pack(position - number * _BRANCH_ELEMENT.size, len(key), child)
        )
        position += len(key)
    head = _PAGE.pack(page, _BRANCH, len(children), pages - 1)
    return _padded(b"".join((head, *elements, *(key for key, _ in children))), pages)


def _meta_page(number: int, root: int, freelist: int, pages: int) -> bytes:
    fields = _META_FIELDS.pack(MAGIC, VERSION, PAGE_BYTES, 0, root, 0, freelist, pages, number)
    return _padded(_PAGE.pack(number, _META, 0, 0) + fields + _NUMBER.pack(_checksum(fields)), 1)


def _padded(content: bytes, pages: int) -> bytes:
    return content.ljust(pages * PAGE_BYTES, b"\0")


def _checksum(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    number = 0xCBF29CE484222325
    for byte in data:
        number = (number ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return number


DEPTH_MOST: Final = 32


class Reading:
    """A whole file in memory (or mapped there).  What is no bbolt file raises `MalformedInput`, at once or
    when the broken page is met; nothing else is raised, and no page is looked at twice."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self._page_bytes = PAGE_BYTES
        metas = [meta for meta in (self._meta(0), *self._second_metas()) if meta is not None]
        if not metas:
            raise MalformedInput("not a bbolt file: no meta page is sound")
        self._page_bytes, root, self._pages, _ = max(metas, key=lambda meta: meta[3])
        if self._pages * self._page_bytes > len(self._data):
            raise MalformedInput("a bbolt file is cut short")
        self._seen: set[int] = set()
        self._buckets: dict[bytes, bytes] = {}
        for flags, name, value in self._walk(root, 0):
            if flags & _IS_BUCKET:
                self._buckets[name] = value

    def names(self) -> list[bytes]:
        return sorted(self._buckets)

    def bucket(self, name: bytes) -> Iterator[tuple[bytes, bytes]]:
        """In order of the keys; nothing where there is no such bucket.  To be read once."""
        value = self._buckets.get(name)
        if value is None:
            return
        if len(value) < _BUCKET.size:
            raise MalformedInput("a bucket of a bbolt file is cut short")
        root, _ = _BUCKET.unpack_from(value)
        elements = self._walk(root, 0) if root else self._leaf(memoryview(value)[_BUCKET.size :])
        for _, key, content in elements:
            yield key, content

    def _second_metas(self) -> Iterator[tuple[int, int, int, int] | None]:
        """Where the second one stands depends on the size of a page, which only they tell."""
        for page_bytes in (4096, 8192, 16384, 32768, 65536):
            yield self._meta(page_bytes)

    def _meta(self, at: int) -> tuple[int, int, int, int] | None:
        """Size of a page, root, number of pages, transaction number."""
        start = at + _PAGE.size
        if start + _META_FIELDS.size + _NUMBER.size > len(self._data):
            return None
        fields = bytes(self._data[start : start + _META_FIELDS.size])
        (checksum,) = _NUMBER.unpack_from(self._data, start + _META_FIELDS.size)
        magic, version, page_bytes, _, root, _, _, pages, transaction = _META_FIELDS.unpack(fields)
        sound = magic == MAGIC and version == VERSION and checksum == _checksum(fields)
        return (page_bytes, root, pages, transaction) if sound and page_bytes >= 1024 else None

    def _walk(self, page: int, depth: int) -> Iterator[tuple[int, bytes, bytes]]:
        if depth > DEPTH_MOST or page in self._seen or not 2 <= page < self._pages:
            raise MalformedInput(f"page {page} of a bbolt file is named wrongly")
        self._seen.add(page)
        start = page * self._page_bytes
        number, flags, count, overflow = _PAGE.unpack_from(self._data, start)
        end = start + (overflow + 1) * self._page_bytes
        if number != page or end > len(self._data):
            raise MalformedInput(f"page {page} of a bbolt file says that it is page {number}")
        content = self._data[start:end]
        if flags & _LEAF:
            yield from self._leaf(content)
        elif flags & _BRANCH:
            for child in _children(content, count):
                yield from self._walk(child, depth + 1)
        else:
            raise MalformedInput(f"page {page} of a bbolt file is of no kind")

    def _leaf(self, content: memoryview) -> Iterator[tuple[int, bytes, bytes]]:
        try:
            count = _PAGE.unpack_from(content)[2]
            for number in range(count):
                at = _PAGE.size + number * _LEAF_ELEMENT.size
                flags, position, key_size, value_size = _LEAF_ELEMENT.unpack_from(content, at)
                start = at + position
                end = start + key_size + value_size
                if end > len(content):
                    raise MalformedInput("an entry of a bbolt file ends behind its page")
                yield flags, bytes(content[start : start + key_size]), bytes(content[start + key_size : end])
        except struct.error as error:
            raise MalformedInput("a page of a bbolt file is cut short") from error


def _children(content: memoryview, count: int) -> list[int]:
    if _PAGE.size + count * _BRANCH_ELEMENT.size > len(content):
        raise MalformedInput("a branch of a bbolt file is cut short")
    return [
        _BRANCH_ELEMENT.unpack_from(content, _PAGE.size + number * _BRANCH_ELEMENT.size)[2]
        for number in range(count)
    ]
