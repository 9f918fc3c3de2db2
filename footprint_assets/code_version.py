"""The code version of an asset: a hash of the code its numbers depend on, found by following its imports.

Nobody has to remember to bump a number: the asset's own source and every compute module it reaches (kernels,
transforms, sources) are hashed without comments, docstrings and layout.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from footprint_assets.source_digest import SourceDigests, beside_kernels, canonical, statements

PACKAGE = __name__.partition(".")[0]
COMPUTE_ROOMS = tuple(f"{PACKAGE}.{room}" for room in ("kernels", "transforms", "sources", "ml"))

_ONE_AT_A_TIME = threading.Lock()
"""Passes computed side by side ask at once; what is remembered of the sources is shared."""


@cache
def code_version(function: Callable[..., object]) -> str:
    """Hash an asset's function, the helpers and constants beside it, and the compute code they use.

    Args:
        function: The function that computes the asset.

    Returns:
        16 hexadecimal digits.
    """
    with _ONE_AT_A_TIME:
        return _hashed(function)


def _hashed(function: Callable[..., object]) -> str:
    helpers, modules = _reached(function)
    constants, imported = _constants(function.__module__, set().union(*(_names(h.__code__) for h in helpers)))
    digest = hashlib.sha256()
    for helper in sorted(helpers, key=lambda f: f.__qualname__):
        digest.update(canonical(_definition(helper)))
    for constant in constants:
        digest.update(constant)
    for module in sorted(_closure(modules | imported)):
        digest.update(module.encode())
        digest.update(_module(module)[0].encode())
    _digests().save()
    return digest.hexdigest()[:16]


def _definition(function: FunctionType) -> ast.Module:
    """The definition of a function or method, alone in a module."""
    first = inspect.unwrap(function).__code__.co_firstlineno  # of the first decorator, where there is one
    for node in statements(_parsed(inspect.getsource(sys.modules[function.__module__]))):
        if isinstance(node, ast.FunctionDef) and first == min(
            [node.lineno, *(d.lineno for d in node.decorator_list)]
        ):
            return ast.Module([node], [])
    raise LookupError(f"{function.__qualname__} has no definition in {function.__module__}")


def _reached(function: Callable[..., object]) -> tuple[set[FunctionType], set[str]]:
    """The functions and methods of the same module a function reaches, and the compute modules they name."""
    helpers: set[FunctionType] = set()
    modules: set[str] = set()
    todo: list[Callable[..., object]] = [function]
    while todo:
        current = todo.pop()
        if not isinstance(current, FunctionType) or current in helpers:
            continue
        helpers.add(current)
        for name in _names(current.__code__):
            value = current.__globals__.get(name)
            home = _home(value)
            if home == function.__module__ and isinstance(value, FunctionType):
                todo.append(value)
            elif home == function.__module__ and isinstance(value, type):
                methods = (method for method in vars(value).values() if isinstance(method, FunctionType))
                # A dataclass makes methods of its own, which have no source.
                todo += [
                    method
                    for method in methods
                    if method.__code__.co_filename == function.__code__.co_filename
                ]
            elif home and home.startswith(COMPUTE_ROOMS):
                modules.add(home)
    return helpers, modules


def _constants(module: str, names: set[str]) -> tuple[list[bytes], set[str]]:
    """The assignments of a module some names depend on, and the compute modules those names are imported from."""
    assigned: dict[str, ast.stmt] = {}
    origin: dict[str, str] = {}
    for node in _parsed(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(COMPUTE_ROOMS):
            origin |= {alias.asname or alias.name: node.module for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assigned |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    used: set[str] = set()
    todo = set(names)
    while todo:
        name = todo.pop()
        used.add(name)
        if name in assigned:
            todo |= {child.id for child in ast.walk(assigned[name]) if isinstance(child, ast.Name)} - used
    constants = [ast.dump(assigned[name]).encode() for name in sorted(used & assigned.keys())]
    return constants, {origin[name] for name in used & origin.keys()}


def _names(code: CodeType) -> set[str]:
    """Every global name a code object uses, nested functions included."""
    nested = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*nested)


def _home(value: object) -> str | None:
    """The module a global refers to."""
    return value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)


def _closure(start: set[str]) -> set[str]:
    seen: set[str] = set()
    todo = set(start)
    while todo:
        module = todo.pop()
        seen.add(module)
        todo |= _module(module)[1] - seen
    return seen


@cache
def _module(name: str) -> tuple[str, frozenset[str]]:
    """The digest of a module's code and the compute modules it imports."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    code, imports = _digests().of(Path(spec.origin).read_bytes())
    modules = {module for module in imports if module.startswith(COMPUTE_ROOMS)}
    named = (f"{module}.{name}" for module in modules for name in imports[module])
    return code, frozenset({*modules, *filter(_is_module, named)})


@cache
def _digests() -> SourceDigests:
    return SourceDigests(beside_kernels())


@cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent is a plain module, the name one of its attributes
        return False


@cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)
