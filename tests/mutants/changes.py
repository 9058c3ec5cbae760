"""Every small change to a file that its tests should notice, found by its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

BOUNDARY = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
OPPOSITE = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
OPERATIONS = (ast.BinOp, ast.BoolOp, ast.Compare, ast.UnaryOp)


@dataclass(frozen=True)
class Change:
    """The bytes from `start` to `end` of a file, and what stands in their place."""

    path: Path
    line: int
    start: int
    end: int
    instead: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.instead.encode() + source[self.end :]

    def diff(self, source: bytes) -> str:
        """The lines that differ, with the place in front."""
        before, after = source.decode().splitlines(), self.applied(source).decode().splitlines()
        lines = list(unified_diff(before, after, lineterm="", n=0))[3:]
        return "\n".join([f"{self.path}:{self.line}", *(f"    {line}" for line in lines)])


def changes(path: Path, source: bytes) -> list[Change]:
    """All that can be changed in a file; annotations, decorators and registry rows are left out."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, parent in _judged(ast.parse(source), None):
        for other in [*_others(node), *([ast.Pass()] if _may_go(node) else [])]:
            text = ast.unparse(other)
            if isinstance(node, OPERATIONS) and isinstance(parent, OPERATIONS):
                text = f"({text})"
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            found.append(Change(path, node.lineno, start, end, text))
    return found


def _judged(node: ast.AST, parent: ast.AST | None) -> Iterator[tuple[ast.AST, ast.AST | None]]:
    """The nodes that decide something, each with the one above it."""
    yield node, parent
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not (_says_nothing(child) or _begins(child, node)):
                yield from _judged(child, node)


def _says_nothing(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom() | ast.Assert():
            return True
        case ast.Assign(targets=[ast.Name(id="SPEC" | "__all__" | "__slots__")]):
            return True
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar"))) | ast.JoinedStr():
            return True
        case ast.ClassDef(bases=bases):
            return any("Protocol" in ast.unparse(base) for base in bases)
        case ast.keyword(arg="strict"):  # of a zip: an assertion
            return True
        case ast.FunctionDef(name="__repr__") | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _begins(node: ast.AST, parent: ast.AST) -> bool:
    """Where a count begins, and what a flag is before the first event, is mostly arbitrary; so is
    the number that stands for nothing, as -1 does: its sign is changed, not its size."""
    match parent, node:
        case ast.FunctionDef(name="__init__"), ast.Assign() | ast.AnnAssign():
            return isinstance(node.value, ast.Constant)
        case ast.UnaryOp(op=ast.USub()), ast.Constant():
            return True
    return False


def _with(node: ast.AST, **fields: object) -> ast.AST:
    other = copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    match node:
        case ast.Compare(ops=ops):
            for at, op in enumerate(ops):
                for table in (BOUNDARY, OPPOSITE):
                    if type(op) in table:
                        new = table[type(op)]()
                        yield _with(node, ops=[*ops[:at], new, *ops[at + 1 :]])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in ARITHMETIC:
            if not _is_text(node):
                yield _with(node, op=ARITHMETIC[type(op)]())
        case ast.BoolOp(op=op):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.IfExp(test=ast.Name() | ast.Attribute() | ast.Call() as test):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()


def _may_go(node: ast.AST) -> bool:
    """Whether a statement does something that should be missed."""
    match node:
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Delete():
            return True
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return True
    return False


def _is_text(node: ast.AST) -> bool:
    return any(
        isinstance(child, ast.JoinedStr) or isinstance(getattr(child, "value", None), str)
        for child in ast.iter_child_nodes(node)
    )
