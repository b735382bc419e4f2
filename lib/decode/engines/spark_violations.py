"""What is wrong with an invalid record, as Spark expressions; evaluated for nothing else.

The record is parsed as a VARIANT, which keeps the JSON types, and every field is compared with
its rules by one lambda over the contract's fields. That keeps the plan small: it is planned again
for each micro-batch, and written out for each field it would cost more than scoring a small
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from lib.decode.engines.python import MAX_FOUND_CHARS
from lib.record.checks import BLANK_TEXT, NUMERIC_TEXT
from lib.record.contract import Contract, Field, Kind
from lib.record.place import Place
from lib.record.violations import Rule

# A JSON object as Spark's VARIANT gives it.
_OBJECT = "map<string, variant>"
# Texts are never longer.
_MAX_INT = 2**31 - 1
VIOLATION_TYPE = "struct<field: string, rule: string, found: string, expected: string>"


def violations_expr(contract: Contract, is_whole_object: Column, passes: Column) -> Column:
    """Array of :data:`VIOLATION_TYPE`: one for the record as a whole, or one for each wrong field.

    Empty only for a record that passes and whose fields, looked at a second time, are all valid.

    Args:
        contract: what a record has to look like.
        is_whole_object: boolean, null for false: whether the value is one JSON object and nothing
            else, as far as the fast path could tell.
        passes: boolean, never null: whether the fast path found nothing wrong with what it read.
    """
    value, text = F.col("source_value"), F.col("source_value").cast("string")
    size = F.concat(F.octet_length(value).cast("string"), F.lit(" bytes"))
    is_blank = matches_expr(text, BLANK_TEXT)
    excerpt = F.when(is_blank, F.lit("nothing but white space")).otherwise(text)
    kind = F.schema_of_variant(_variant_expr())
    is_object = F.startswith(kind, F.lit("OBJECT"))
    # Like from_json, the VARIANT parser stops at the end of the first value.
    is_whole = F.when(
        is_object, F.coalesce(is_whole_object, matches_expr(text, r"\s*\{\s*\}\s*"))
    ).otherwise(_is_one_value_expr(text))
    fields = _field_violations_expr(contract)
    unreadable = _record_violation_expr(Rule.NOT_JSON, excerpt, "one JSON object and nothing else")

    def refuse_unless_found(found: Column) -> Column:
        """Whatever the fast path refused stays refused, even if nothing is found here."""
        return F.when((F.size(found) == 0) & ~passes, unreadable).otherwise(found)

    return (
        F.when(
            value.isNull(),
            _record_violation_expr(Rule.NULL_VALUE, F.lit("null"), "a JSON object"),
        )
        .when(
            F.octet_length(value) > contract.max_bytes,
            _record_violation_expr(Rule.TOO_LARGE, size, f"at most {contract.max_bytes} bytes"),
        )
        .when(~F.is_valid_utf8(text), _record_violation_expr(Rule.NOT_UTF8, size, "UTF-8 text"))
        .when(kind.isNull() | ~is_whole, unreadable)
        .when(~is_object, _record_violation_expr(Rule.NOT_OBJECT, excerpt, "a JSON object"))
        .otherwise(_bind(fields, refuse_unless_found))
    )


def _is_one_value_expr(text: Column) -> Column:
    """Whether a text is one JSON value and nothing else; never null.

    In brackets it is an array of one then, and of two with a second one behind it. One is not
    enough: the text may have a bracket of its own that closes the array early.
    """
    alone, followed = (
        F.json_array_length(F.concat(F.lit("["), text, F.lit(end))) for end in ("]", ",0]")
    )
    return F.coalesce((alone == 1) & (followed == 2), F.lit(False))


def json_kind_expr(place: Place) -> Column:
    """STRING, BIGINT, DECIMAL(…), DOUBLE, BOOLEAN, VOID, OBJECT<…> or ARRAY<…>; null if missing."""
    return F.schema_of_variant(_value_at_expr(place))


def _value_at_expr(place: Place) -> Column:
    """VARIANT: what stands at a place of the record; null where nothing does."""
    path = "".join(f"['{name}']" for name in place)
    return F.try_variant_get(_variant_expr(), f"${path}", "variant")


def matches_expr(column: Column, pattern: str) -> Column:
    """Whether a pattern matches the whole text, as ``re.fullmatch`` with ``re.ASCII``."""
    return column.rlike(_whole(pattern))


def _whole(pattern: str) -> str:
    return rf"\A(?:{pattern})\z"


def _variant_expr() -> Column:
    return F.try_parse_json(F.col("source_value").cast("string"))


def _record_violation_expr(rule: Rule, found: Column, expected: str) -> Column:
    return F.array(_violation_expr(F.lit(""), F.lit(str(rule)), found, F.lit(expected)))


def _violation_expr(field: Column, rule: Column, found: Column, expected: Column) -> Column:
    return F.struct(
        field.alias("field"),
        rule.alias("rule"),
        F.substring(found, 1, MAX_FOUND_CHARS).alias("found"),
        expected.alias("expected"),
    )


def _field_violations_expr(contract: Contract) -> Column:
    """The violations of all fields, in the contract's order; empty where there are none."""
    by_object: dict[Place, list[Field]] = {}
    for spec in contract.checked:
        by_object.setdefault(spec.place[:-1], []).append(spec)
    explained = [
        _explain_nested_expr(place, specs)
        if place
        else _explain_object_expr(specs, _variant_expr().cast(_OBJECT))
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


def _explain_nested_expr(place: Place, fields: Sequence[Field]) -> Column:
    """The violations of fields in an object inside the record.

    Where something else stands instead of the object, or of one around it, each of them has that as
    a value of the wrong type; where nothing does, each of them is missing.
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
        inner = _explain_object_expr(fields, _value_at_expr(place).try_cast(_OBJECT))
        return F.when(outer.isNotNull(), blocked).otherwise(inner)

    outers = [_value_at_expr(place[:length]) for length in range(1, len(place) + 1)]
    return _bind(F.coalesce(*map(_unless_object_expr, outers)), explain)


def _unless_object_expr(value: Column) -> Column:
    """VARIANT: what stands where an object is expected; null for an object and for nothing."""
    kind = F.schema_of_variant(value)
    is_fitting = F.startswith(kind, F.lit("OBJECT")) | (kind == "VOID")
    return F.when(~is_fitting, value)


def _explain_object_expr(fields: Sequence[Field], values: Column) -> Column:
    """The violations of fields that stand in one object.

    Args:
        fields: of the object.
        values: map<string, variant>: the object; null where there is none.
    """
    specs = F.array(*map(_spec_expr, fields))

    def explain(spec: Column, value: Column, kind: Column) -> Column:
        """A violation; its rule is null where there is none."""
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
    """``body`` of a column that is planned and evaluated once, however often the body names it.

    Within lambdas nothing else keeps a record from being parsed anew for each field, and the sender
    of a large one decides how long that takes.
    """
    return F.transform(F.array(column), body).getItem(0)


def _spec_expr(spec: Field) -> Column:
    """A field of the contract as a constant."""
    low, high = spec.range
    constants = {
        "name": F.lit(spec.name),
        "key": F.lit(spec.place[-1]),
        "nullable": F.lit(spec.nullable),
        "is_numeric": F.lit(spec.is_numeric),
        "is_integer": F.lit(spec.kind is Kind.INTEGER),
        "is_boolean": F.lit(spec.kind is Kind.BOOLEAN),
        "is_category": F.lit(spec.kind is Kind.CATEGORY),
        "allowed": F.array(*map(F.lit, spec.allowed)).cast("array<string>"),
        "pattern": F.lit(_whole(spec.pattern or "(?s:.*)")),
        "max_chars": F.lit(_MAX_INT if spec.max_chars is None else spec.max_chars),
        "low": F.lit(low),
        "high": F.lit(high),
        "takes_text": F.lit(spec.numeric_text),
        "takes_blank": F.lit(spec.blank is not None),
        "expected": F.lit(spec.expected),
    }
    return F.struct(*(constant.alias(name) for name, constant in constants.items()))


def _rule_expr(spec: Column, value: Column, kind: Column) -> Column:
    """The rule that a present value breaks; null where it is valid."""

    def judge(text: Column) -> Column:
        as_text = F.when(
            spec["is_category"],
            F.when(~F.array_contains(spec["allowed"], text), str(Rule.NOT_ALLOWED)),
        ).otherwise(
            F.when(
                ~F.rlike(text, spec["pattern"]) | (F.char_length(text) > spec["max_chars"]),
                str(Rule.MALFORMED),
            )
        )
        return (
            F.when(spec["is_numeric"], _number_rule_expr(spec, value, kind, text))
            .when(spec["is_boolean"], F.when(kind != "BOOLEAN", str(Rule.WRONG_TYPE)))
            .when(text.isNull(), str(Rule.WRONG_TYPE))
            .otherwise(as_text)
        )

    return _bind(F.when(kind == "STRING", F.try_variant_get(value, "$", "string")), judge)


def _number_rule_expr(spec: Column, value: Column, kind: Column, text: Column) -> Column:
    is_number = kind.rlike(r"^(BIGINT|DECIMAL|DOUBLE)")
    readable = spec["takes_text"] & matches_expr(text, NUMERIC_TEXT)
    number = F.when(is_number, F.try_variant_get(value, "$", "double")).when(
        readable, text.try_cast("double")
    )
    is_blank = spec["takes_text"] & spec["takes_blank"] & matches_expr(text, BLANK_TEXT)

    def judge(number: Column) -> Column:
        return (
            F.when(number.isNull(), str(Rule.WRONG_TYPE))
            .when(~number.between(spec["low"], spec["high"]), str(Rule.OUT_OF_RANGE))
            .when(spec["is_integer"] & (number != F.floor(number)), str(Rule.WRONG_TYPE))
        )

    return F.when(~F.coalesce(is_blank, F.lit(False)), _bind(number, judge))
