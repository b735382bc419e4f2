"""The language of contracts, which describe the records of a domain.

A contract is data: ``conf/contracts/NAME.toml``, read by :mod:`lib.record.contract_file`. The
checks, Spark's schema, the model's columns, synthetic records and the documented table are derived
from it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property

from lib.record.place import Place

Value = str | int | float | bool | None


class Kind(StrEnum):
    """The kinds of fields, by the JSON values that they take."""

    CATEGORY = "category"  # JSON string out of `allowed`
    INTEGER = "integer"  # JSON number without a fraction (3 and 3.0 are both the integer 3)
    NUMBER = "number"  # JSON number, finite
    BOOLEAN = "boolean"  # JSON true or false; reaches the model as 1 or 0
    TEXT = "text"  # JSON string of at most `max_chars` characters that matches `pattern`
    TIMESTAMP = "timestamp"  # JSON string, ISO 8601


#: The kinds that a contract's features may have.
FEATURE_KINDS = (Kind.CATEGORY, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.TEXT)

#: The largest integer up to which a float64 holds every integer.
MAX_INTEGER = 2**53
#: The default size of the largest record, and the default length of the longest text.
DEFAULT_MAX_BYTES = 65_536
DEFAULT_MAX_CHARS = 1_000

# Later attributes: their defaults are left out of fingerprints, which so do not change.
_LATER = ("max_chars",)
# Attributes that do not change the values that the model gets.
_PROSE = ("description", "unit", "path", "singled_out")


@dataclass(frozen=True)
class Field:
    """One field of the record.

    Attributes:
        name: the field's name in training data, in the model's columns and, where no path is given,
            in the JSON object.
        kind: the kind of the field.
        description: the text for the documentation, in the language of the business.
        stand_in: a harmless value, used to score a record whose own values cannot be.
        unit: the unit of a number; empty for counts, flags and categories.
        allowed: the values of a category, in a fixed order: models may encode by position.
        minimum, maximum: the inclusive range of a number.
        pattern: a pattern that the whole text or timestamp matches, in syntax of Java and Python.
        nullable: whether the field may be missing or null.
        numeric_text: whether a number may also come as a string that holds one.
        blank: the number that a string of nothing but white space stands for; None forbids it.
        max_chars: the longest text, in Unicode code points; None for no bound.
        singled_out: values of an integer that a trained model gets as categories too, because a
            linear model cannot follow a jump of the risk between two numbers.
        path: the names of the objects that hold the value in JSON, from the outermost on, and the
            value's own name; empty if the value is at the top under the field's name.
    """

    name: str
    kind: Kind
    description: str
    stand_in: Value
    unit: str = ""
    allowed: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    nullable: bool = False
    numeric_text: bool = False
    blank: float | None = None
    max_chars: int | None = None
    singled_out: tuple[int, ...] = ()
    path: Place = ()

    @property
    def is_numeric(self) -> bool:
        """Whether the field holds a number."""
        return self.kind in (Kind.INTEGER, Kind.NUMBER)

    @property
    def model_stand_in(self) -> str | int | float | None:
        """The stand-in in the model's form: 0 or 1 for a boolean."""
        return int(self.stand_in) if isinstance(self.stand_in, bool) else self.stand_in

    @property
    def place(self) -> Place:
        """The place of the value in the JSON object: one name, or several for a nested value."""
        return self.path or (self.name,)

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest valid number.

        Without a limit in the contract, the end is the largest finite float64, and for integers the
        largest one up to which a float64 holds all. Infinity and NaN are never valid.
        """
        end = float(MAX_INTEGER) if self.kind is Kind.INTEGER else sys.float_info.max
        low = -end if self.minimum is None else float(self.minimum)
        high = end if self.maximum is None else float(self.maximum)
        return low, high

    @property
    def expected(self) -> str:
        """A phrase that describes valid values, for error messages and documents."""
        match self.kind:
            case Kind.CATEGORY:
                return "one of " + ", ".join(json.dumps(value) for value in self.allowed)
            case Kind.BOOLEAN:
                return "true or false"
            case Kind.TIMESTAMP:
                return "an ISO 8601 timestamp string"
            case Kind.TEXT:
                parts = ["a string"]
                if self.max_chars is not None:
                    parts.append(f"of at most {self.max_chars:,} characters")
                if self.pattern is not None:
                    parts.append(f"matching {self.pattern}")
                return " ".join(parts)
        noun = "an integer" if self.kind is Kind.INTEGER else "a finite number"
        text = " or a string holding one" if self.numeric_text else ""
        blank = f" (blank means {self.blank:g})" if self.blank is not None else ""
        return f"{noun}{self._expected_range}{text}{blank}"

    @property
    def _expected_range(self) -> str:
        low, high = self.minimum, self.maximum
        if low is not None and high is not None:
            return f" from {low:g} to {high:g}"
        if low is not None:
            return f" from {low:g} on"
        return "" if high is None else f" of at most {high:g}"


@dataclass(frozen=True)
class OutputNames:
    """The names of a prediction's fields that the domain chooses.

    Attributes:
        identifier: the name of the field that holds the record's identifier.
        probability: the name of the field that holds the probability of the positive label.
        label: the name of the field that holds the predicted label.
    """

    identifier: str
    probability: str = "probability"
    label: str = "prediction"


@dataclass(frozen=True)
class Names:
    """The default names of a domain's topics, query and model.

    Attributes:
        input_topic: the topic of records.
        output_topic: the topic of predictions.
        dead_letter_topic: the topic of records that cannot be scored.
        query: the consumer group and transactional id of the job.
        model: the name of the model in the store.
    """

    input_topic: str
    output_topic: str
    dead_letter_topic: str
    query: str
    model: str

    @classmethod
    def derive(cls, domain: str) -> Names:
        """Derive names that no other domain has."""
        return cls(
            f"{domain}.records",
            f"{domain}.predictions",
            f"{domain}.dead-letters",
            f"{domain}-scoring",
            domain,
        )


@dataclass(frozen=True)
class Contract:
    """A record's fields and limits.

    Attributes:
        name: the name of the domain, for messages and metadata.
        identifier: the field that identifies the record's subject; copied into the prediction.
        features: the fields that the model gets, in the order of the training data.
        event_time: the field with the time of the record; copied into the prediction. None if
            records have no such field, and the Kafka timestamp is taken.
        label: the field with one of two classes to learn; it is ignored outside of training.
        positive_label: the label's value whose probability is predicted.
        max_bytes: the size of the largest record that is parsed.
        output: the names of the prediction's fields.
        names: the names of topics, query and model; None for names derived from the contract's.
        format: the name of the records' format, a row of :data:`lib.decode.formats.FORMATS`.
    """

    name: str
    identifier: Field
    features: tuple[Field, ...]
    event_time: Field | None
    label: Field
    positive_label: str
    max_bytes: int
    output: OutputNames = dataclasses.field(default_factory=lambda: OutputNames("id"))
    names: Names | None = None
    format: str = "json"

    @property
    def defaults(self) -> Names:
        """The default names of topics, query and model."""
        return self.names or Names.derive(self.name)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The model's columns, in order."""
        return tuple(field.name for field in self.features)

    @cached_property
    def categorical(self) -> tuple[Field, ...]:
        """The features that are categories."""
        return tuple(field for field in self.features if field.kind is Kind.CATEGORY)

    @cached_property
    def numeric(self) -> tuple[Field, ...]:
        """The features that are numbers."""
        return tuple(field for field in self.features if field.is_numeric)

    @cached_property
    def boolean(self) -> tuple[Field, ...]:
        """The features that are booleans."""
        return tuple(field for field in self.features if field.kind is Kind.BOOLEAN)

    @cached_property
    def checked(self) -> tuple[Field, ...]:
        """The fields of a record that are checked, in the order in which violations are listed."""
        times = () if self.event_time is None else (self.event_time,)
        return (self.identifier, *self.features, *times)

    @cached_property
    def negative_label(self) -> str:
        """The label's other value."""
        return next(label for label in self.label.allowed if label != self.positive_label)

    @cached_property
    def stand_ins(self) -> dict[str, Value]:
        """Harmless feature values, to score a record whose own values cannot be scored."""
        return {field.name: field.stand_in for field in self.features}

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 of the parts that a model depends on: features and label, no descriptions."""
        text = json.dumps(
            [[_describe(field) for field in (*self.features, self.label)], self.positive_label],
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def field(self, name: str) -> Field:
        """Return the field of that name.

        Raises:
            KeyError: there is none.
        """
        for field in (*self.checked, self.label):
            if field.name == name:
                return field
        raise KeyError(name)

    def to_markdown(self) -> str:
        """Write the table of the fields in ``docs/contract.md``."""
        rows = ["| field | role | value | unit | meaning |", "|---|---|---|---|---|"]
        for field in (*self.checked, self.label):
            optional = "; may be missing" if field.nullable else ""
            inside = f"; at `{'.'.join(field.path)}`" if field.path else ""
            value = field.expected.replace("|", "\\|")
            rows.append(
                f"| `{field.name}` | {self._find_role(field)} | {value}{optional}{inside} "
                f"| {field.unit or '–'} | {field.description or '–'} |"
            )
        return "\n".join(rows) + "\n"

    def _find_role(self, field: Field) -> str:
        if field is self.identifier:
            return "identifier"
        if field is self.label:
            return "label"
        return "event time" if field is self.event_time else "feature"


def _describe(field: Field) -> dict[str, object]:
    """Return the attributes of a field that the fingerprint holds."""
    return {
        name: value
        for name, value in asdict(field).items()
        if name not in _PROSE and not (name in _LATER and value is None)
    }


# The pattern of ISO 8601 that Java, Python and RE2 read: a date, or a date and a time, with or
# without fraction and offset. It matches days that the Gregorian calendar has, from year 1 to 9999,
# and offsets of up to 18 hours, which are those of Java and Spark.
_YEAR = r"(?:\d{3}[1-9]|\d{2}[1-9]0|\d[1-9]00|[1-9]000)"
_BY_FOUR = r"(?:0[48]|[2468][048]|[13579][26])"
_DATE = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|02-(?:0[1-9]|1\d|2[0-8]))"
    rf"|(?:\d{{2}}{_BY_FOUR}|{_BY_FOUR}00)-02-29)"
)
ISO_8601 = (
    rf"{_DATE}(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{{1,9}})?)?"
    r"(?:Z|[+-](?:(?:0\d|1[0-7]):?[0-5]\d|18:?00))?)?"
)


def build_event_time(name: str, description: str = "", path: Place = ()) -> Field:
    """Build the field of an event time."""
    return Field(
        name,
        Kind.TIMESTAMP,
        description,
        "1970-01-01T00:00:00Z",
        pattern=ISO_8601,
        nullable=True,
        path=path,
    )


def build_label(name: str, negative: str, positive: str, description: str = "") -> Field:
    """Build the field of a label."""
    allowed = (negative, positive)
    return Field(name, Kind.CATEGORY, description, negative, allowed=allowed, nullable=True)
