"""Slips that a careless developer could make in a module, one at a time: what `make mutants` tries.

A slip is made in the text, not in the syntax tree, so that the rest of the module stays as it was written.
"""

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[int, int]  # offsets in the source, in bytes as ast counts them
Change = tuple[str, Span, str]  # kind of slip, what is replaced, by what

COMPARED = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",),
    "is": ("is not",), "is not": ("is",), "in": ("not in",), "not in": ("in",),
}  # fmt: skip
SYMBOLS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is",
    ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in", ast.Add: "+", ast.Sub: "-", ast.Mult: "*",
    ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**", ast.BitAnd: "&", ast.BitOr: "|",
}  # fmt: skip
CALCULATED = {
    "+": "-", "-": "+", "*": "/", "/": "*", "//": "/", "%": "//", "**": "*", "&": "|", "|": "&",
}  # fmt: skip
_PAIRS = (
    "min max", "argmin argmax", "minimum maximum", "nlargest nsmallest", "any all", "floor ceil", "head tail",
    "first last", "left right", "top bottom", "rows columns", "row column", "width height", "mean median",
    "startswith endswith", "good bad", "best worst", "zeros ones", "train validation", "before after",
    "low high",
)  # fmt: skip
SWAPPED = {a: b for pair in _PAIRS for a, b in (pair.split(), pair.split()[::-1])}
LEFT_OUT = {
    "sort", "sort_values", "sort_index", "reset_index", "dropna", "fillna", "drop_duplicates", "clip", "abs",
    "copy", "clone", "detach", "round", "strip", "lower", "resolve", "eval", "transpose", "unique",
}  # fmt: skip
# What only words or a careful reader would notice.
NOT_IN = {
    "print",
    "isinstance",
    "issubclass",
    "warn",
    "warning",
    "info",
    "debug",
    "Option",
    "Argument",
    "cast",
}
NOT_DROPPED = {"strict", "encoding", "desc", "help", "stacklevel", "unit", "mininterval"}


@dataclass(frozen=True)
class Slip:
    """One slip: where and of what kind, the lines that it changes before and after, and the whole source."""

    line: int
    kind: str
    before: str
    after: str
    source: str


def find_slips(source: str) -> list[Slip]:
    """Return every slip of a module that leaves it valid Python, in order of lines."""
    raw = source.encode()
    changes = _Finder(raw).of(ast.parse(source))
    slips = {slip.source: slip for slip in (_slip(raw, *change) for change in changes)}
    slips.pop(source, None)
    return sorted(filter(_is_valid, slips.values()), key=lambda slip: slip.line)


def _is_valid(slip: Slip) -> bool:
    try:
        ast.parse(slip.source)
    except (SyntaxError, ValueError):
        return False
    return True


def _slip(raw: bytes, kind: str, span: Span, new: str) -> Slip:
    """Describe a slip by the whole lines that it touches."""
    start, end = span
    first = raw.rfind(b"\n", 0, start) + 1
    last = raw.find(b"\n", end) if b"\n" in raw[end:] else len(raw)
    before, after = raw[first:last], raw[first:start] + new.encode() + raw[end:last]
    source = (raw[:first] + after + raw[last:]).decode()
    line = raw[:start].count(b"\n") + 1
    return Slip(line, kind, *(text.decode().strip() for text in (before, after)), source)


class _Finder:
    """Walks over a syntax tree and says what could be replaced by what."""

    def __init__(self, raw: bytes):
        self.raw = raw
        self.starts = [0, *(match.end() for match in re.finditer(rb"\n", raw))]

    def span(self, node: ast.AST) -> Span:
        return (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def text(self, node: ast.AST) -> str:
        return self.raw[slice(*self.span(node))].decode()

    def of(self, node: ast.AST) -> Iterator[Change]:
        """Yield the changes of a node and of all below it that can be noticed by what the program does."""
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.Import | ast.ImportFrom):
            return
        called = node.value if isinstance(node, ast.Expr) else node
        if isinstance(called, ast.Call) and _name(called.func) in NOT_IN:
            return
        if isinstance(node, ast.keyword) and node.arg in NOT_DROPPED:
            return
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            return
        yield from getattr(self, type(node).__name__, lambda _: ())(node)
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns", "decorator_list"):
                for below in value if isinstance(value, list) else [value]:
                    if isinstance(below, ast.AST):
                        yield from self.of(below)

    def between(self, kind: str, left: ast.AST, right: ast.AST, old: str, *new: str) -> Iterator[Change]:
        """Replace an operator that stands between two nodes."""
        start, end = self.span(left)[1], self.span(right)[0]
        gap = self.raw[start:end].decode()
        pattern = r"\s+".join(map(re.escape, old.split()))
        for replacement in new:
            yield kind, (start, end), re.sub(pattern, replacement, gap, count=1)

    def Compare(self, node: ast.Compare) -> Iterator[Change]:
        for left, op, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            symbol = SYMBOLS[type(op)]
            yield from self.between("comparison", left, right, symbol, *COMPARED[symbol])

    def BoolOp(self, node: ast.BoolOp) -> Iterator[Change]:
        words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in pairwise(node.values):
            yield from self.between("and, or", left, right, *words)
        for dropped in range(len(node.values)):
            kept = [value for place, value in enumerate(node.values) if place != dropped]
            text = f" {words[0]} ".join(f"({self.text(value)})" for value in kept)
            yield "condition left out", self.span(node), f"({text})"

    def BinOp(self, node: ast.BinOp) -> Iterator[Change]:
        symbol = SYMBOLS.get(type(node.op))
        if symbol and not isinstance(node.left, ast.JoinedStr):
            yield from self.between("arithmetic", node.left, node.right, symbol, CALCULATED[symbol])

    def AugAssign(self, node: ast.AugAssign) -> Iterator[Change]:
        symbol = SYMBOLS.get(type(node.op))
        if symbol:
            yield from self.between(
                "arithmetic", node.target, node.value, f"{symbol}=", f"{CALCULATED[symbol]}="
            )

    def UnaryOp(self, node: ast.UnaryOp) -> Iterator[Change]:
        yield "sign or not left out", self.span(node), f"({self.text(node.operand)})"

    def Constant(self, node: ast.Constant) -> Iterator[Change]:
        if isinstance(node.value, bool):
            yield "constant", self.span(node), str(not node.value)
        elif isinstance(node.value, int):
            yield "constant", self.span(node), str(node.value + 1)
        elif isinstance(node.value, float):
            yield "constant", self.span(node), repr(node.value * 1.5 or 1.0)
        elif node.value in SWAPPED:
            yield "swapped word", self.span(node), f'"{SWAPPED[node.value]}"'

    def Attribute(self, node: ast.Attribute) -> Iterator[Change]:
        if node.attr in SWAPPED:
            end = self.span(node)[1]
            yield "swapped word", (end - len(node.attr), end), SWAPPED[node.attr]

    def Name(self, node: ast.Name) -> Iterator[Change]:
        if node.id in ("min", "max", "any", "all"):
            yield "swapped word", self.span(node), SWAPPED[node.id]

    def Call(self, node: ast.Call) -> Iterator[Change]:
        name = _name(node.func)
        if name == "sorted" and isinstance(node.func, ast.Name):
            yield "sort left out", self.span(node), f"list({self.text(node.args[0])})"
        if name in LEFT_OUT and isinstance(node.func, ast.Attribute):
            owner = node.args[0] if self.text(node.func.value) == "np" else node.func.value
            yield "call left out", self.span(node), self.text(owner)
        for keyword in node.keywords:
            if keyword.arg not in {None, *NOT_DROPPED}:
                start, end = self.span(keyword)
                end += len(re.match(rb"\s*,?", self.raw[end:])[0])
                yield "argument left out", (start, end), ""
        plain = [arg for arg in node.args if not isinstance(arg, ast.Starred)]
        for one, other in pairwise(plain):
            if type(one) is not type(other):  # any test would notice
                continue
            start, end = self.span(one)[0], self.span(other)[1]
            gap = self.raw[self.span(one)[1] : self.span(other)[0]].decode()
            yield "arguments swapped", (start, end), self.text(other) + gap + self.text(one)

    def Subscript(self, node: ast.Subscript) -> Iterator[Change]:
        if isinstance(node.slice, ast.Slice):
            for part in ("lower", "upper", "step"):
                if getattr(node.slice, part):
                    cut = copy.copy(node.slice)
                    setattr(cut, part, None)
                    yield "end of a slice left out", self.span(node.slice), ast.unparse(cut)

    def If(self, node: ast.If | ast.IfExp) -> Iterator[Change]:
        for value in ("True", "False"):
            yield "condition replaced", self.span(node.test), value

    IfExp = If

    def comprehension(self, node: ast.comprehension) -> Iterator[Change]:
        for test in node.ifs:
            yield "condition replaced", self.span(test), "True"

    def Return(self, node: ast.Return) -> Iterator[Change]:
        if isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
            yield "returns swapped", self.span(node.value), ", ".join(map(self.text, node.value.elts[::-1]))
        elif node.value:
            yield "return left out", self.span(node.value), "None"

    def Expr(self, node: ast.Expr) -> Iterator[Change]:
        if isinstance(node.value, ast.Call):
            yield "statement left out", self.span(node), "pass"

    def Break(self, node: ast.Break) -> Iterator[Change]:
        yield "break, continue", self.span(node), "continue"

    def Continue(self, node: ast.Continue) -> Iterator[Change]:
        yield "break, continue", self.span(node), "break"


def _name(function: ast.expr) -> str:
    """Return the last name of what is called."""
    return getattr(function, "attr", getattr(function, "id", ""))
