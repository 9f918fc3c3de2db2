"""What the source of a module says to the code version: its code without words and layout, and what it imports.

To parse and write out a hundred modules takes 0.4 s, which is what it takes to find a trade date unchanged. Digests are
therefore remembered by the bytes of the source, beside the compiled kernels: an edited file has other bytes, so nothing
remembered can be wrong about it.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

KEPT = 2000
"""Digests remembered at most: some versions of every module."""


class SourceDigest(NamedTuple):
    """What a source says.

    Args:
        code: SHA-256 of its statements without docstrings, comments and layout.
        imports: Modules it imports, each with the names it takes from it (none of a plain import).
    """

    code: str
    imports: dict[str, list[str]]


class SourceDigests:
    """Digests by the bytes of their sources, remembered in a file.

    Args:
        file: The file; one that cannot be read or written is done without.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = _read(file)
        self._used: dict[str, SourceDigest] = {}
        self._saved = True

    def of(self, source: bytes) -> SourceDigest:
        """What a source says, parsed if these bytes were never seen."""
        name = hashlib.sha256(source).hexdigest()
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = digest(source)
            self._saved = False
        self._used[name] = found
        return found

    def save(self) -> None:
        """Remember what is new."""
        if self._saved:
            return
        self._saved = True
        kept = self._known if len(self._known) <= KEPT else self._used
        with contextlib.suppress(OSError):  # an installation nobody may write to
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=f".{self._file.name}.")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump({"method": _method(), "sources": kept}, file)
                Path(name).replace(self._file)
            finally:
                Path(name).unlink(missing_ok=True)


def beside_kernels() -> Path:
    """Where digests are remembered: beside the compiled kernels, whose directory the package has set."""
    return Path(os.environ["NUMBA_CACHE_DIR"]).with_name("source_digests.json")


def digest(source: bytes) -> SourceDigest:
    """Parse a source.

    Args:
        source: The bytes of a Python file.

    Returns:
        Its digest.
    """
    tree = ast.parse(source)
    imports: dict[str, list[str]] = {}
    for node in statements(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            imports.setdefault(node.module, []).extend(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            imports |= {alias.name: imports.get(alias.name, []) for alias in node.names}
    return SourceDigest(hashlib.sha256(canonical(tree)).hexdigest(), imports)


def canonical(tree: ast.Module) -> bytes:
    """The code of a module without docstrings, comments and layout; the tree loses its docstrings."""
    for node in statements(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]  # not every node has one; this has
                child
                for child in body
                if not (
                    isinstance(child, ast.Expr)
                    and isinstance(child.value, ast.Constant)
                    and isinstance(child.value.value, str)
                )
            ] or [ast.Pass()]
    return ast.dump(tree).encode()


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """A node and every statement inside it, in no particular order."""
    todo = [node]
    while todo:
        node = todo.pop()
        yield node
        for blocks in ("body", "orelse", "finalbody", "handlers", "cases"):
            inside = getattr(node, blocks, None)
            if isinstance(inside, list):
                todo += inside


@cache
def _method() -> str:
    """What a digest depends on besides the source: this file, and how this Python writes a tree."""
    return hashlib.sha256(Path(__file__).read_bytes() + sys.version.encode()).hexdigest()


def _read(file: Path) -> dict[str, SourceDigest]:
    """The digests of a file; none of one that is absent, broken or made by another method."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["method"] == _method():
            return {name: SourceDigest(*facts) for name, facts in found["sources"].items()}
    return {}
