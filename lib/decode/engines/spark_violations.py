"""Lists the violations of an invalid record with Spark expressions.

The record is parsed as a VARIANT, which keeps the JSON types, and one lambda over the contract's
fields compares every field with its rules. That keeps the plan small, which is planned again for
each micro-batch: a part for each field would cost more time than scoring a small batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from lib.decode.engines.conditions import HOLDS, Value, matches_expr
from lib.decode.formats import find_format
from lib.record.checks import (
    BLANK_TEXT,
    CHECKS,
    NUMERIC_TEXT,
    Check,
    Condition,
    anchor,
    find_limits,
)
from lib.record.contract import Contract, Field, Kind
from lib.record.place import Place
from lib.record.violations import MAX_FOUND_CHARS, Rule

# The kind of an object in a VARIANT.
_OBJECT = "map<string, variant>"
# The types of limits. A condition without one has a boolean: whether a field has to keep it.
_LIMIT_TYPES = {
    Condition.IS_IN: "array<string>",
    Condition.IS_SHORT: "int",
    Condition.MATCHES: "string",
    Condition.IS_BETWEEN: "array<double>",
}
VIOLATION_TYPE = "struct<field: string, rule: string, found: string, expected: string>"


def violations_expr(contract: Contract, parsed: Column, passes: Column) -> Column:
    """Build an array of :data:`VIOLATION_TYPE`: one for the record, or one for each wrong field.

    It is empty only for a record that passes and whose fields are valid at a second look too.

    Args:
        contract: the contract of the records.
        parsed: the record as a struct from the fast path.
        passes: a boolean, never null: whether the fast path has found no violation.
    """
    form = find_format(contract)
    reader = form.get_spark_reader()
    value, record = F.col("source_value"), reader.variant_expr()
    size = F.concat(F.octet_length(value).cast("string"), F.lit(" bytes"))
    refusals, unexplained = reader.list_refusals(record, parsed)

    def refuse_unless_found(found: Column) -> Column:
        """Add a violation to a record that the fast path has refused, if none is found here."""
        refused = _record_violation_expr(unexplained.rule, unexplained.found, unexplained.expected)
        return F.when((F.size(found) == 0) & ~passes, refused).otherwise(found)

    explained = F.when(
        value.isNull(), _record_violation_expr(Rule.NULL_VALUE, F.lit("null"), form.expected)
    ).when(
        F.octet_length(value) > contract.max_bytes,
        _record_violation_expr(Rule.TOO_LARGE, size, f"at most {contract.max_bytes} bytes"),
    )
    for it in refusals:
        explained = explained.when(
            it.applies, _record_violation_expr(it.rule, it.found, it.expected)
        )
    return explained.otherwise(_bind(_field_violations_expr(contract, record), refuse_unless_found))


def kind_expr(record: Column, place: Place) -> Column:
    """Build the type: STRING, BIGINT, DECIMAL(…), DOUBLE, BOOLEAN, VOID, OBJECT<…>, ARRAY<…>."""
    return F.schema_of_variant(_value_at_expr(record, place))


def _value_at_expr(record: Column, place: Place) -> Column:
    """Build a VARIANT: the value at a place of the record; null if there is none."""
    path = "".join(f"['{name}']" for name in place)
    return F.try_variant_get(record, f"${path}", "variant")


def _record_violation_expr(rule: Rule, found: Column, expected: str) -> Column:
    return F.array(_violation_expr(F.lit(""), F.lit(str(rule)), found, F.lit(expected)))


def _violation_expr(field: Column, rule: Column, found: Column, expected: Column) -> Column:
    return F.struct(
        field.alias("field"),
        rule.alias("rule"),
        F.substring(found, 1, MAX_FOUND_CHARS).alias("found"),
        expected.alias("expected"),
    )


def _field_violations_expr(contract: Contract, record: Column) -> Column:
    """Build the violations of all fields in the contract's order, empty if there are none."""
    by_object: dict[Place, list[Field]] = {}
    for spec in contract.checked:
        by_object.setdefault(spec.place[:-1], []).append(spec)
    explained = [
        _explain_nested_expr(place, specs, record)
        if place
        else _explain_object_expr(specs, record.cast(_OBJECT))
        for place, specs in by_object.items()
    ]
    if len(explained) == 1:
        return explained[0]
    names = F.array(*(F.lit(spec.name) for spec in contract.checked))

    def number(violation: Column) -> Column:
        position = F.array_position(names, violation["field"])
        return F.struct(position.alias("position"), violation.alias("violation"))

    ordered = F.array_sort(F.transform(F.concat(*explained), number))
    return F.transform(ordered, lambda numbered: numbered["violation"])


def _explain_nested_expr(place: Place, fields: Sequence[Field], record: Column) -> Column:
    """Build the violations of fields in an object inside the record.

    If there is something else instead of the object, or of one around it, each field has that value
    with the wrong type; if there is nothing, each field is missing.
    """

    def explain(outer: Column) -> Column:
        blocked = F.array(
            *(
                _violation_expr(
                    *(F.lit(spec.name), F.lit(str(Rule.WRONG_TYPE))),
                    *(F.to_json(outer), F.lit(spec.expected)),
                )
                for spec in fields
            )
        )
        inner = _explain_object_expr(fields, _value_at_expr(record, place).try_cast(_OBJECT))
        return F.when(outer.isNotNull(), blocked).otherwise(inner)

    outers = [_value_at_expr(record, place[:length]) for length in range(1, len(place) + 1)]
    return _bind(F.coalesce(*map(_unless_object_expr, outers)), explain)


def _unless_object_expr(value: Column) -> Column:
    """Build a VARIANT: another value in the place of an object; null for an object or nothing."""
    kind = F.schema_of_variant(value)
    is_fitting = F.startswith(kind, F.lit("OBJECT")) | (kind == "VOID")
    return F.when(~is_fitting, value)


def _explain_object_expr(fields: Sequence[Field], values: Column) -> Column:
    """Build the violations of fields in one object.

    Args:
        fields: the fields of the object.
        values: the object as map<string, variant>; null if there is none.
    """
    specs = F.array(*_spec_exprs(fields))

    def explain(spec: Column, value: Column, kind: Column) -> Column:
        """Build a violation, whose rule is null if there is none."""
        is_missing = F.coalesce(kind == "VOID", F.lit(True))
        rule = F.when(is_missing, F.when(~spec["nullable"], F.lit(str(Rule.MISSING)))).otherwise(
            _rule_expr(spec, value, kind)
        )
        found = F.when(is_missing, F.lit("nothing")).otherwise(F.to_json(value))
        return _violation_expr(spec["name"], rule, found, spec["expected"])

    def look_up_and_explain(spec: Column, values: Column) -> Column:
        return _bind(
            F.try_element_at(values, spec["key"]),
            lambda value: _bind(
                F.schema_of_variant(value), lambda kind: explain(spec, value, kind)
            ),
        )

    def explain_all(values: Column) -> Column:
        explained = F.transform(specs, lambda spec: look_up_and_explain(spec, values))
        return F.filter(explained, lambda violation: violation["rule"].isNotNull())

    return _bind(values, explain_all)


def _bind(column: Column, body: Callable[[Column], Column]) -> Column:
    """Build ``body`` of a column that is evaluated once, however often the body uses it.

    Without this, a record would be parsed again for each field within lambdas, which takes long for
    a large record.
    """
    return F.transform(F.array(column), body).getItem(0)


def _spec_exprs(fields: Sequence[Field]) -> list[Column]:
    """Build the fields of the contract as constants; conditions name their limits."""
    # They are made once, because each call takes time when a job starts.
    absent = {
        it: F.lit(None).cast(_LIMIT_TYPES[it]) if it in _LIMIT_TYPES else F.lit(False)
        for it in Condition
    }
    absent = {it: column.alias(it.value) for it, column in absent.items()}

    def build_spec(spec: Field) -> Column:
        limits = find_limits(spec)
        constants = {
            "name": spec.name,
            "key": spec.place[-1],
            "nullable": spec.nullable,
            "takes_text": spec.numeric_text,
            "takes_blank": spec.numeric_text and spec.blank is not None,
            "expected": spec.expected,
        }
        kept = {it.value: _limit_expr(it, limit).alias(it.value) for it, limit in limits.items()}
        return F.struct(
            *(F.lit(constant).alias(name) for name, constant in constants.items()),
            *(kept.get(it, column) for it, column in absent.items()),
        )

    return [build_spec(spec) for spec in fields]


def _limit_expr(condition: Condition, limit: Any) -> Column:
    if isinstance(limit, tuple):
        return F.array(*map(F.lit, limit))
    return F.lit(anchor(limit) if condition is Condition.MATCHES else limit)


def _rule_expr(spec: Column, value: Column, kind: Column) -> Column:
    """Build the name of the rule that a present value breaks; null if it is valid."""

    def read_number(text: Column) -> Column:
        is_number = kind.rlike(r"^(BIGINT|DECIMAL|DOUBLE)")
        is_text = spec["takes_text"] & matches_expr(text, NUMERIC_TEXT)
        return F.when(is_number, F.try_variant_get(value, "$", "double")).when(
            is_text, text.try_cast("double")
        )

    def judge(text: Column) -> Column:
        def read(number: Column) -> Value:
            return Value(text, number, text.isNotNull(), kind == "BOOLEAN", number.isNotNull())

        is_blank = F.coalesce(spec["takes_blank"] & matches_expr(text, BLANK_TEXT), F.lit(False))
        of_number = _bind(
            read_number(text), lambda number: _first_broken_expr(_OF_NUMBERS, read(number), spec)
        )
        of_others = _first_broken_expr(_OF_OTHERS, read(F.lit(None).cast("double")), spec)
        return F.when(spec[Condition.IS_NUMBER], F.when(~is_blank, of_number)).otherwise(of_others)

    return _bind(F.when(kind == "STRING", F.try_variant_get(value, "$", "string")), judge)


# Numbers are separate, so that other values are not read as numbers.
_OF_NUMBERS = [check for check in CHECKS if Kind.INTEGER in check.kinds]
_OF_OTHERS = [check for check in CHECKS if check not in _OF_NUMBERS]


def _first_broken_expr(checks: Sequence[Check], value: Value, spec: Column) -> Column:
    """Build the rule of the first check that a value does not keep."""
    rule: Any = F  # a chain of `when` starts from it
    for check in checks:
        limit = spec[check.condition]
        holds = HOLDS[check.condition](value, limit)
        # The limit is null if the field has none.
        is_broken = ~holds if check.limit else limit & ~holds
        rule = rule.when(is_broken, F.lit(str(check.rule)))
    chain: Column = rule
    return chain
