"""Builds the reasons of a prediction as a Spark expression, with the texts of ``reasons.py``."""

from __future__ import annotations

import json
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from lib.messages.effects import MAX_EFFECT, UNIT, FieldEffects, Reasons
from lib.record.contract import Contract, Field, Kind
from lib.record.types import is_text
from lib.spark.quoting import quote

_MILLION = 1_000_000
# See lib/encode/reasons.py for both.
_LARGE, _HUGE = 1e9, 1e38


def reasons_expr(reasons: Reasons, contract: Contract) -> Column:
    """Build a JSON array of the fields with the largest effects, as a string."""
    fields = reasons.effects.fields
    # Spark orders structs by their parts: the largest effect first, then the contract's order.
    ranked = F.array_sort(
        F.array(
            *(
                _rank(position, _rounded_expr(effects, contract.field(effects.name)))
                for position, effects in enumerate(fields)
            )
        )
    )
    starts = F.array(
        *(F.lit(f'{{"feature":{json.dumps(it.name, ensure_ascii=False)},"value":') for it in fields)
    )

    def write(reason: Column) -> Column:
        position = reason["position"]
        value = _choose(position, [_value_expr(contract.field(it.name)) for it in fields])
        start = F.element_at(starts, position + 1)
        parts = (start, value, F.lit(',"effect":'), format_effect_expr(reason["effect"]))
        return F.concat(*parts, F.lit("}"))

    texts = F.transform(F.slice(ranked, 1, reasons.count), write)
    return F.concat(F.lit("["), F.array_join(texts, ","), F.lit("]"))


def _rank(position: int, effect: Column) -> Column:
    return F.struct(
        (-F.abs(effect)).alias("order"),
        F.lit(position).alias("position"),
        effect.alias("effect"),
    )


def _rounded_expr(effects: FieldEffects, field: Field) -> Column:
    """Build the effect of a field in parts of :data:`UNIT`, as bigint."""
    column = F.col(quote(field.name))
    line = F.lit(effects.offset)
    if effects.slope:
        line = line + F.lit(effects.slope) * column.cast("double")
    found = line
    if effects.additions:
        first, *others = ((column == F.lit(it), F.lit(more)) for it, more in effects.additions)
        more = reduce(lambda case, it: case.when(*it), others, F.when(*first))
        found = line + more.otherwise(0.0)
    is_missing = column.isNull() if is_text(field) else column.isNull() | F.isnan(column)
    effect = F.when(is_missing, F.lit(effects.missing)).otherwise(found)
    bounded = F.greatest(F.least(effect, F.lit(float(MAX_EFFECT))), F.lit(-float(MAX_EFFECT)))
    return F.floor(bounded * UNIT + 0.5).cast("bigint")


def _choose(position: Column, values: list[Column]) -> Column:
    """Build the value at a position; the others are not computed."""
    cases = F.when(position == 0, values[0])
    for at, value in enumerate(values[1:], 1):
        cases = cases.when(position == at, value)
    return cases


def _value_expr(field: Field) -> Column:
    """Build the JSON text of a field's value."""
    column = F.col(quote(field.name))
    if field.kind is Kind.CATEGORY:
        texts = F.lit("null")
        for value in reversed(field.allowed):
            text = F.lit(json.dumps(value, ensure_ascii=False))
            texts = F.when(column == F.lit(value), text).otherwise(texts)
        return texts
    if field.kind is Kind.BOOLEAN:
        return F.when(column == 1, "true").when(column == 0, "false").otherwise("null")
    return format_number_expr(column.cast("double"))


def format_effect_expr(rounded: Column) -> Column:
    """Do the same as :func:`lib.messages.effects.format_effect`."""
    size = F.abs(rounded)
    return F.concat(
        F.when(rounded < 0, "-").otherwise(""),
        F.floor(size / UNIT).cast("string"),
        F.lit("."),
        F.substring((size % UNIT + UNIT).cast("string"), 2, 4),
    )


def format_number_expr(value: Column) -> Column:
    """Do the same as :func:`lib.encode.reasons.format_numbers`; value is a double."""
    micro = F.floor(F.abs(value) * _MILLION + 0.5)
    digits = F.substring((micro % _MILLION + _MILLION).cast("string"), 2, 6)
    fraction = F.rtrim(digits, F.lit("0"))
    plain = F.concat(
        F.when((value < 0) & (micro > 0), "-").otherwise(""),
        F.floor(micro / _MILLION).cast("string"),
        F.when(fraction == "", "").otherwise(F.concat(F.lit("."), fraction)),
    )
    large = value.cast("decimal(38,0)").cast("string")
    return (
        F.when(value.isNull() | F.isnan(value) | (F.abs(value) >= _HUGE), "null")
        .when(F.abs(value) < _LARGE, plain)
        .otherwise(large)
    )
