"""What a format provides; see :mod:`lib.decode.formats`."""

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
#: Conditions that the values of a row keep already.
ROW_CONDITIONS = frozenset({Condition.IS_TEXT, Condition.IS_BOOLEAN, Condition.IS_IN})
#: A row for each value; None for what is no record of the contract's types or sizes, and for any
#: that is left to the reference.
RowParser = Callable[["pa.BinaryArray"], list[Row | None]]


class RefusedError(ValueError):
    """A record that cannot be read, whatever its fields; the attributes are the violation's."""

    def __init__(self, rule: Rule, found: str, expected: str) -> None:
        super().__init__(rule, found, expected)
        self.rule, self.found, self.expected = rule, found, expected


@dataclass(frozen=True)
class Refusal:
    """As :class:`RefusedError`, of the records of a frame.

    Attributes:
        applies: boolean, null for false: whether a record cannot be read for this reason.
        rule: of the violation.
        found: string: an excerpt.
        expected: what would have been read.
    """

    applies: Column
    rule: Rule
    found: Column
    expected: str


class SparkReader(Protocol):
    """How Spark reads the column ``source_value``, which is binary and never null here."""

    def parse_expr(self, contract: Contract) -> Column:
        """A struct with the contract's fields at their places: string, double or boolean.

        Numbers that may come as text are strings. Null fields where nothing or something else
        stands; a string may also be the text of a value that is none, see :meth:`doubt_expr`.
        """

    def is_whole_expr(self, parsed: Column) -> Column:
        """boolean, null for false: whether the value is one record, as far as this can tell."""

    def is_certain_expr(self, parsed: Column) -> Column:
        """boolean: whether what was parsed is what the reference would read."""

    def doubt_expr(self, spec: Field, value: Column) -> Column | None:
        """boolean: whether a parsed string may not have been text; None where it has to."""

    def variant_expr(self) -> Column:
        """The record as a VARIANT; null where it cannot be read."""

    def list_refusals(self, record: Column, parsed: Column) -> tuple[Sequence[Refusal], Refusal]:
        """Reasons not to read a record, in the order in which the reference finds them.

        Args:
            record: as a VARIANT.
            parsed: the struct.

        Returns:
            The reasons, and the one that is given where parsing refused a record in whose fields
            nothing is found.
        """


class Format(Protocol):
    """One format, for all engines.

    Attributes:
        expected: what a record is, as one phrase for error messages.
    """

    expected: str

    def open(self, value: bytes) -> AbstractContextManager[Mapping[str, Any]]:
        """The record that a value holds.

        Raises:
            RefusedError: there is none.
        """

    def check_shown(self, record: Mapping[str, Any], value: bytes) -> None:
        """Raise RefusedError for an invalid record that cannot be quoted."""

    def show(self, value: Any) -> str:
        """A value of an open record, as it is quoted."""

    def build_row_parser(self, contract: Contract) -> RowParser:
        """The parser for batches of a contract's records; see :data:`RowParser`."""

    def get_spark_reader(self) -> SparkReader:
        """The parser for frames. Imports PySpark."""
