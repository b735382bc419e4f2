"""Counts the records of a file that keep a contract, and what is wrong with the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.decode.engines.python import check_record, decode_value
from lib.errors import SourceError, first_line
from lib.record.cells import read_cell
from lib.record.contract import Contract, Field
from lib.record.place import put
from lib.record.tables import read_table
from lib.record.violations import Rule, Violation

# The number of examples for each field and rule.
_EXAMPLES = 3
_TABLES = (".csv", ".parquet")


@dataclass
class Survey:
    """The counts over the records of a file.

    Attributes:
        records: the number of records.
        valid: the number of records that keep the contract.
        counts: (field, rule) → number of records that break the rule.
        examples: (field, rule) → places and values of the first few.
    """

    records: int = 0
    valid: int = 0
    counts: Counter[tuple[str, Rule]] = field(default_factory=Counter)
    examples: dict[tuple[str, Rule], list[str]] = field(default_factory=dict)

    def note(self, place: str, violations: Iterable[Violation]) -> None:
        """Count one record."""
        self.records += 1
        self.valid += not violations
        for violation in violations:
            kind = (violation.field, violation.rule)
            self.counts[kind] += 1
            examples = self.examples.setdefault(kind, [])
            if len(examples) < _EXAMPLES:
                examples.append(f"{place}: {violation.found}")


def survey_file(path: Path, contract: Contract) -> Survey:
    """Check every record of a file.

    Args:
        path: a CSV or Parquet file with the contract's columns, or one JSON object a line.
        contract: the contract that the records have to keep.

    Raises:
        SourceError: the file cannot be read, or lacks all of the contract's columns.
    """
    survey = Survey()
    if path.suffix in _TABLES:
        for number, record in enumerate(_iter_table(path, contract), 1):
            survey.note(f"row {number}", check_record(record, contract).violations)
        return survey
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    decoded = decode_value(line.rstrip(b"\r\n"), contract)
                    survey.note(f"line {number}", decoded.violations)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}", hint=_HINT) from error
    return survey


_HINT = "name a CSV or Parquet file with the contract's columns, or a file of JSON lines"


def _iter_table(path: Path, contract: Contract) -> Iterator[dict[str, Any]]:
    """Iterate over the rows of a table as JSON objects."""
    try:
        table = read_table(path)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{path}: cannot be read: {first_line(str(error))}", hint=_HINT
        ) from error
    fields = [spec for spec in contract.checked if spec.name in table]
    if not fields:
        raise SourceError(f"{path}: found no column of the contract {contract.name}", hint=_HINT)
    for values in zip(*(table[spec.name] for spec in fields), strict=True):
        record: dict[str, Any] = {}
        for spec, value in zip(fields, values, strict=True):
            put(record, spec.place, _as_json(value, spec))
        yield record


def _as_json(value: Any, spec: Field) -> Any:
    return read_cell(value, spec) if isinstance(value, str) else value


def describe_survey(survey: Survey) -> Iterator[str]:
    """Write the survey as lines of text."""
    yield f"{survey.valid:,} of {survey.records:,} records keep the contract"
    if survey.counts:
        yield f"{'records':>10}  field: rule, and the first of them"
    for (name, rule), count in survey.counts.most_common():
        yield f"{count:>10,}  {name or 'record'}: {rule}"
        for example in survey.examples[name, rule]:
            yield f"{'':12}{example}"


def as_json(survey: Survey) -> str:
    """Write the counts as one JSON object, for programs."""
    counts: list[Mapping[str, Any]] = [
        {"field": name, "rule": str(rule), "records": count}
        for (name, rule), count in survey.counts.most_common()
    ]
    facts = {"records": survey.records, "valid": survey.valid, "violations": counts}
    return json.dumps(facts, ensure_ascii=False)
