"""The interface of a format; see :mod:`lib.decode.formats`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lib.record.checks import Condition
from lib.record.contract import Contract, Field
from lib.record.violations import Rule

if TYPE_CHECKING:  # the reference and Arrow need no Spark
    import pyarrow as pa
    from pyspark.sql import Column

#: A value for each of the contract's checked fields: str, bool or float; a str also for a number
#: that comes as text, where that may be, and None for a missing value, where that may be.
Row = tuple[Any, ...]
#: The conditions that the values of a row keep already.
ROW_CONDITIONS = frozenset({Condition.IS_TEXT, Condition.IS_BOOLEAN, Condition.IS_IN})
#: A row for each value; None for a value that does not have the contract's types or sizes, and for
#: any that is left to the reference.
RowParser = Callable[["pa.BinaryArray"], list[Row | None]]


class RefusedError(ValueError):
    """A record that cannot be read, whatever its fields; the attributes are the violation's."""

    def __init__(self, rule: Rule, found: str, expected: str) -> None:
        super().__init__(rule, found, expected)
        self.rule, self.found, self.expected = rule, found, expected


@dataclass(frozen=True)
class Refusal:
    """A reason why records of a frame cannot be read, like :class:`RefusedError`.

    Attributes:
        applies: a boolean, null for false: whether a record cannot be read for this reason.
        rule: the rule of the violation.
        found: a string with an excerpt.
        expected: a phrase that describes records that can be read.
    """

    applies: Column
    rule: Rule
    found: Column
    expected: str


class SparkReader(Protocol):
    """A reader of the column ``source_value`` in Spark, which is binary and never null here."""

    def parse_expr(self, contract: Contract) -> Column:
        """Build a struct with the contract's fields at their places: string, double or boolean.

        Numbers that may be text are strings. A field is null for a missing value or one of another
        type; a string may be the text of such a value too, see :meth:`doubt_expr`.
        """

    def is_whole_expr(self, parsed: Column) -> Column:
        """Build a boolean, null for false: whether the value seems to be one record."""

    def is_certain_expr(self, parsed: Column) -> Column:
        """Build a boolean: whether the reference would read the same as was parsed."""

    def doubt_expr(self, spec: Field, value: Column) -> Column | None:
        """Build a boolean: whether a parsed string may not have been text; None if it always is."""

    def variant_expr(self) -> Column:
        """Build the record as a VARIANT; null if it cannot be read."""

    def list_refusals(self, record: Column, parsed: Column) -> tuple[Sequence[Refusal], Refusal]:
        """List reasons not to read a record, in the order in which the reference finds them.

        Args:
            record: the record as a VARIANT.
            parsed: the record as a struct.

        Returns:
            The reasons, and the one that is given where parsing refused a record in whose fields
            nothing is found.
        """


class Format(Protocol):
    """One format, for all engines.

    Attributes:
        expected: a phrase that describes a record, for error messages.
    """

    expected: str

    def open(self, value: bytes) -> AbstractContextManager[Mapping[str, Any]]:
        """Read the record that a value holds.

        Raises:
            RefusedError: the value holds no record.
        """

    def check_shown(self, record: Mapping[str, Any], value: bytes) -> None:
        """Raise RefusedError for an invalid record that cannot be quoted."""

    def show(self, value: Any) -> str:
        """Write a value of an open record as a violation quotes it."""

    def build_row_parser(self, contract: Contract) -> RowParser:
        """Build the parser for batches of a contract's records; see :data:`RowParser`."""

    def get_spark_reader(self) -> SparkReader:
        """Return the parser for frames, which imports PySpark."""
