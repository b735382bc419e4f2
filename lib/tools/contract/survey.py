"""Counts the records of a file that keep a contract, and what is wrong with the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.record.contract import Contract
from lib.record.violations import Rule, Violation
from lib.tools.contract.checking import iter_checked

# The number of examples for each field and rule.
_EXAMPLES = 3


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
    for record in iter_checked(path, contract):
        survey.note(record.place, record.decoded.violations)
    return survey


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
