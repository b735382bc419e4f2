"""Does the arithmetic of an exported SQL expression once, instead of for each record.

orbital writes the steps of a pipeline as they are. A category's indicator is centred, scaled and
weighted: ``TRY_DIVIDE(CAST(IF(gender = 'Female', 1, 0) AS DOUBLE) - 0.49, 0.5) * 0.3``. Everything
in it is constant but the indicator, so all terms of a column become one ``CASE gender WHEN …``.
That saves more time of a micro-batch than of a record: Spark plans the expression again for each
batch, in a time that grows with its parts.

This needs the ``compiled`` extra.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add, mul, sub, truediv

from sqlglot import exp

_ARITHMETIC: dict[type[exp.Expr], Callable[[float, float], float]] = {
    exp.Add: add,
    exp.Sub: sub,
    exp.Mul: mul,
    exp.SafeDivide: truediv,
}


@dataclass(frozen=True)
class _Indicator:
    """A term that has one value if a column equals a literal, and another one otherwise."""

    column: exp.Column
    literal: exp.Literal
    equal: float
    other: float

    def map(self, change: Callable[[float], float]) -> _Indicator:
        """Return the term with both values changed."""
        return replace(self, equal=change(self.equal), other=change(self.other))


def fold_lookups(expression: exp.Expr) -> exp.Expr:
    """Rewrite an expression to fewer operations; only the order of additions changes.

    Args:
        expression: sqlglot's tree of an expression of type double, which is changed.
    """
    sums = [it for it in expression.find_all(exp.Add) if not isinstance(it.parent, exp.Add)]
    for total in sums:
        folded = reduce(_add, _merge(total.flatten(unnest=False)))
        if total is expression:
            expression = folded
        else:
            total.replace(folded)
    return expression


def _add(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return exp.Add(this=left, expression=right)


def _merge(terms: Iterable[exp.Expr]) -> list[exp.Expr]:
    """Merge those terms of a sum that look up the same column."""
    others = []
    lookups = defaultdict[str, list[_Indicator]](list)
    for term in terms:
        indicator = _read_indicator(term)
        if indicator is None:
            others.append(term)
        else:
            lookups[indicator.column.sql()].append(indicator)
    return [*others, *map(_write_case, lookups.values())]


def _read_indicator(node: exp.Expr) -> _Indicator | None:
    """Read a term that changes ``CAST(IF(column = literal, …, …) AS DOUBLE)`` by constants."""
    node = node.unnest()
    if isinstance(node, exp.Cast):
        return _read_if(node.this) if node.is_type(exp.DataType.Type.DOUBLE) else None
    calculate = _ARITHMETIC.get(type(node))
    if calculate is None:
        return None
    left, right = _read_number(node.this), _read_number(node.expression)
    if right is not None:
        inner = None if calculate is truediv and right == 0 else _read_indicator(node.this)
        return inner and inner.map(lambda value: calculate(value, right))
    if left is not None and calculate is not truediv:
        inner = _read_indicator(node.expression)
        return inner and inner.map(lambda value: calculate(left, value))
    return None


def _read_if(node: exp.Expr) -> _Indicator | None:
    if not isinstance(node, exp.If) or not isinstance(node.this, exp.EQ):
        return None
    column, literal = node.this.this, node.this.expression
    if not isinstance(column, exp.Column) or not isinstance(literal, exp.Literal):
        return None
    equal, other = _read_number(node.args["true"]), _read_number(node.args.get("false"))
    return None if equal is None or other is None else _Indicator(column, literal, equal, other)


def _read_number(node: exp.Expr | None) -> float | None:
    if isinstance(node, exp.Neg):
        number = _read_number(node.this)
        return None if number is None else -number
    return float(node.name) if isinstance(node, exp.Literal) and not node.is_string else None


def _write_case(indicators: list[_Indicator]) -> exp.Expr:
    """Write the part of the sum that depends on the value of one column."""
    case = exp.Case(this=indicators[0].column)
    for literal in dict.fromkeys(it.literal for it in indicators):
        value = sum(it.equal if it.literal == literal else it.other for it in indicators)
        case = case.when(literal, _write_double(value))
    return case.else_(_write_double(sum(it.other for it in indicators)))


def _write_double(number: float) -> exp.Expr:
    """Write a literal with an exponent, without which Spark would take it for a DECIMAL."""
    text = repr(abs(number))
    literal = exp.Literal.number(text if "e" in text else f"{text}e0")
    return exp.Neg(this=literal) if number < 0 else literal
