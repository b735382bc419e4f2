"""The customer record: the only place that knows its fields.

The Spark schema, the checks, the model's columns, the synthetic customers and the table in
``docs/contract.md`` are derived from :data:`CUSTOMER`. Another model means another contract.

Source of the fields: the IBM Telco customer churn data set.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property


class Kind(StrEnum):
    """What a field's JSON value has to be."""

    CATEGORY = "category"  # JSON string out of `allowed`
    INTEGER = "integer"  # JSON number without a fraction (3 and 3.0 are both the integer 3)
    NUMBER = "number"  # JSON number, finite
    TEXT = "text"  # JSON string that matches `pattern`
    TIMESTAMP = "timestamp"  # JSON string, ISO 8601


@dataclass(frozen=True)
class Field:
    """One field of the record.

    Attributes:
        name: as it stands in the JSON object and in the training data.
        kind: type of the JSON value.
        description: for the documentation, in the language of the business.
        unit: of a number; empty for counts, flags and categories.
        allowed: the values of a category, in a fixed order: models may encode by position.
        minimum, maximum: inclusive range of a number.
        pattern: a text or timestamp has to match it whole. Only syntax that Java and Python share.
        nullable: whether the field may be missing or null.
        numeric_text: whether a number may also come as a string that holds one.
        blank: the number that a string of nothing but white space stands for; None forbids it.
        stand_in: a harmless value, used to score a record whose own values cannot be.
    """

    name: str
    kind: Kind
    description: str
    stand_in: str | int | float
    unit: str = ""
    allowed: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    nullable: bool = False
    numeric_text: bool = False
    blank: float | None = None

    @property
    def is_numeric(self) -> bool:
        """Whether the model sees a number."""
        return self.kind in (Kind.INTEGER, Kind.NUMBER)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest valid number, infinite where the contract sets no limit."""
        low = -math.inf if self.minimum is None else float(self.minimum)
        high = math.inf if self.maximum is None else float(self.maximum)
        return low, high

    @property
    def expected(self) -> str:
        """What a valid value is, as one phrase for error messages and documents."""
        if self.kind is Kind.CATEGORY:
            return "one of " + ", ".join(json.dumps(value) for value in self.allowed)
        if self.kind is Kind.TEXT:
            return f"a string matching {self.pattern}"
        if self.kind is Kind.TIMESTAMP:
            return "an ISO 8601 timestamp string"
        low, high = self.range
        noun = "an integer" if self.kind is Kind.INTEGER else "a finite number"
        text = " or a string holding one" if self.numeric_text else ""
        blank = f" (blank means {self.blank:g})" if self.blank is not None else ""
        return f"{noun} from {low:g} to {high:g}{text}{blank}"


@dataclass(frozen=True)
class Contract:
    """A record's fields and limits.

    Attributes:
        name: for messages and metadata.
        identifier: names the customer; copied into the prediction.
        features: what the model sees, in the order of the training data.
        event_time: when the record came to be; copied into the prediction.
        label: the class to learn; present in training data only, ignored in a stream.
        positive_label: the label's value whose probability is predicted.
        max_bytes: size of the largest record that is parsed at all.
    """

    name: str
    identifier: Field
    features: tuple[Field, ...]
    event_time: Field
    label: Field
    positive_label: str
    max_bytes: int

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
    def checked(self) -> tuple[Field, ...]:
        """The fields that a record is checked for, in the order in which violations are listed."""
        return (self.identifier, *self.features, self.event_time)

    @cached_property
    def negative_label(self) -> str:
        """The label's other value."""
        return next(label for label in self.label.allowed if label != self.positive_label)

    @cached_property
    def stand_ins(self) -> dict[str, str | int | float]:
        """Harmless feature values, to score a record whose own cannot be."""
        return {field.name: field.stand_in for field in self.features}

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over what a model depends on: the features and the label, not their prose."""
        relevant = [
            {k: v for k, v in asdict(field).items() if k not in ("description", "unit")}
            for field in (*self.features, self.label)
        ]
        text = json.dumps([relevant, self.positive_label], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def field(self, name: str) -> Field:
        """The field of that name.

        Raises:
            KeyError: there is none.
        """
        for field in (*self.checked, self.label):
            if field.name == name:
                return field
        raise KeyError(name)

    def to_markdown(self) -> str:
        """The table in ``docs/contract.md``."""
        rows = ["| field | role | value | unit | meaning |", "|---|---|---|---|---|"]
        roles = {self.identifier.name: "identifier", self.event_time.name: "event time"}
        for field in (*self.checked, self.label):
            role = roles.get(field.name, "label" if field is self.label else "feature")
            optional = "; may be missing" if field.nullable else ""
            value = field.expected.replace("|", "\\|")
            rows.append(
                f"| `{field.name}` | {role} | {value}{optional} | {field.unit or '–'} "
                f"| {field.description} |"
            )
        return "\n".join(rows) + "\n"


# Accepts what both Spark and Python read as ISO 8601: a date, or a date and a time, with or
# without fraction and offset.
ISO_8601 = (
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)

YES_NO = ("No", "Yes")
WITH_INTERNET = ("No", "No internet service", "Yes")


def _category(name: str, description: str, allowed: tuple[str, ...]) -> Field:
    return Field(name, Kind.CATEGORY, description, stand_in=allowed[0], allowed=allowed)


CUSTOMER = Contract(
    name="telco-customer",
    identifier=Field(
        "customerID",
        Kind.TEXT,
        "customer's identifier, like 7590-VHVEG",
        stand_in="0000-AAAAA",
        pattern=r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}",
    ),
    features=(
        _category("gender", "customer's gender", ("Female", "Male")),
        Field(
            "SeniorCitizen",
            Kind.INTEGER,
            "1 where the customer is 65 or older",
            stand_in=0,
            minimum=0,
            maximum=1,
        ),
        _category("Partner", "has a partner", YES_NO),
        _category("Dependents", "has dependents", YES_NO),
        Field(
            "tenure",
            Kind.INTEGER,
            "time with the company",
            stand_in=1,
            unit="months",
            minimum=0,
            maximum=120,
        ),
        _category("PhoneService", "has a phone line", YES_NO),
        _category("MultipleLines", "has several lines", ("No", "No phone service", "Yes")),
        _category("InternetService", "kind of internet line", ("DSL", "Fiber optic", "No")),
        _category("OnlineSecurity", "subscribes to online security", WITH_INTERNET),
        _category("OnlineBackup", "subscribes to online backup", WITH_INTERNET),
        _category("DeviceProtection", "subscribes to device protection", WITH_INTERNET),
        _category("TechSupport", "subscribes to technical support", WITH_INTERNET),
        _category("StreamingTV", "streams television", WITH_INTERNET),
        _category("StreamingMovies", "streams films", WITH_INTERNET),
        _category("Contract", "term of the contract", ("Month-to-month", "One year", "Two year")),
        _category("PaperlessBilling", "is billed without paper", YES_NO),
        _category(
            "PaymentMethod",
            "way of paying",
            (
                "Bank transfer (automatic)",
                "Credit card (automatic)",
                "Electronic check",
                "Mailed check",
            ),
        ),
        Field(
            "MonthlyCharges",
            Kind.NUMBER,
            "charge of the current month",
            stand_in=20.0,
            unit="USD/month",
            minimum=0,
            maximum=1_000,
        ),
        Field(
            "TotalCharges",
            Kind.NUMBER,
            "charges so far; blank for a customer in month 0",
            stand_in=20.0,
            unit="USD",
            minimum=0,
            maximum=120_000,
            numeric_text=True,
            blank=0.0,
        ),
    ),
    event_time=Field(
        "event_ts",
        Kind.TIMESTAMP,
        "when the record came to be; the Kafka timestamp where missing",
        stand_in="1970-01-01T00:00:00Z",
        pattern=ISO_8601,
        nullable=True,
    ),
    label=Field(
        "Churn",
        Kind.CATEGORY,
        "whether the customer left; in training data only",
        stand_in="No",
        allowed=YES_NO,
        nullable=True,
    ),
    positive_label="Yes",
    # A customer is about 500 bytes; a hundred times that is junk, and costs parse time.
    max_bytes=65_536,
)
