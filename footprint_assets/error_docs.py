"""What can go wrong, read from the code: every kind of error, what it means, what it says and what mends it.

The source is read, not run: an error's docstring says what it means, the places that raise it say the rest.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

BASE = "FootprintError"
UNKNOWN = "…"
"""Stands for what is only known when it happens."""

REMEDIES = {
    "ContractViolation": "The message names table, column, rule and first row. `footprint-assets ingest` shows faults of the files; "
    "where the files are sound, the function of the table is at fault.",
    "MetadataRefused": "Get the file again; where it stays refused, the rule in [sources](sources.md) says what is not supported.",
    "RecordRefused": "Get the file again; where it stays refused, the rule in [sources](sources.md) says what is not supported.",
}
"""What mends the kinds whose places name it by rule or by facts alone."""


@dataclass(frozen=True)
class Case:
    """One way in which an error is met.

    Args:
        message: What it says.
        remedy: What mends it; empty where the place names nothing.
    """

    message: str
    remedy: str


@dataclass(frozen=True)
class Kind:
    """A kind of error.

    Args:
        name: Of the class.
        family: The kind it is one of.
        meaning: First paragraph of its documentation.
        cases: The places that raise it.
        members: The kinds that are one of it.
    """

    name: str
    family: str
    meaning: str
    cases: tuple[Case, ...]
    members: tuple[str, ...]

    @property
    def remedies(self) -> tuple[str, ...]:
        """What mends it."""
        return tuple(dict.fromkeys(case.remedy for case in self.cases if case.remedy))


def kinds(package: Path = Path(__file__).parent) -> list[Kind]:
    """Every kind of error of a package, by name.

    Args:
        package: The package's directory.
    """
    modules = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))]
    classes = {
        node.name: node for module in modules for node in ast.walk(module) if isinstance(node, ast.ClassDef)
    }
    families = {name: _bases(node) for name, node in classes.items()}

    def family(name: str) -> str:
        """The kind a class is one of; empty where it is no error of ours."""
        return next((base for base in families.get(name, ()) if base == BASE or family(base)), "")

    shared = {
        node.name: node
        for module in modules
        for node in module.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    found: dict[str, list[Case]] = {name: [] for name in families if family(name)}
    for module in modules:
        texts = _Texts(module, shared)
        for call in ast.walk(module):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in found:
                found[call.func.id].extend(texts.cases(call))
    return [
        Kind(
            name,
            family(name),
            (ast.get_docstring(classes[name]) or "").partition("\n\n")[0].replace("\n", " "),
            tuple(dict.fromkeys([*cases, *([Case("", REMEDIES[name])] if name in REMEDIES else [])])),
            tuple(sorted(other for other in found if family(other) == name)),
        )
        for name, cases in sorted(found.items())
    ]


def _bases(node: ast.ClassDef) -> tuple[str, ...]:
    return tuple(base.id for base in node.bases if isinstance(base, ast.Name))


class _Texts:
    """What the expressions of a module read like, as far as its source tells.

    Args:
        module: The module.
        shared: Functions of the package it may call, by name.
    """

    def __init__(self, module: ast.Module, shared: Mapping[str, ast.FunctionDef]) -> None:
        self._constants = {
            target.id: node.value
            for node in module.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        own = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
        self._functions = {**shared, **own}

    def cases(self, call: ast.Call) -> Iterator[Case]:
        """The cases of a place that makes an error."""
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        messages = list(self._of(call.args[0])) if call.args else []
        remedies = list(self._of(given["remedy"])) if "remedy" in given else []
        for message in messages or [""]:
            for remedy in remedies or [""]:
                if message or remedy:
                    yield Case(message, remedy)

    def _of(self, expression: ast.expr) -> Iterator[str]:
        """The texts an expression may have; one that is known nowhere in it is none."""
        match expression:
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=parts):
                text = "".join(
                    str(part.value) if isinstance(part, ast.Constant) else UNKNOWN for part in parts
                )
                if text.strip(f"{UNKNOWN} .,;:'()"):
                    yield text
            case ast.IfExp(body=one, orelse=other):
                yield from self._of(one)
                yield from self._of(other)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                for start in self._of(left):
                    yield from (start + end for end in list(self._of(right)) or [UNKNOWN])
            case ast.Name(id=name) if name in self._constants:
                yield from self._of(self._constants[name])
            case ast.Call(func=ast.Name(id=name)) if name in self._functions:
                for node in ast.walk(self._functions[name]):
                    if isinstance(node, ast.Return) and node.value:
                        yield from self._of(node.value)
