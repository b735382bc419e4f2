"""The formats of records, which turn bytes into values. Engines know formats only from here.

A format is a module or a folder beside this file, and a row of :data:`FORMATS`. It provides the
members of :class:`~lib.decode.formats.base.Format`, some for each engine:

- the reference, one record at a time: the values of a record by name, objects within it as dicts,
  or the reason why it cannot be read; and how a value is quoted in a violation;
- Arrow, whole batches: a parser that gives rows of the contract's types and may refuse any value,
  because the reference then decides;
- Spark: the record as a struct of the contract's fields, which nearly always suffices, and as a
  VARIANT, which keeps the kinds of all values, to list its violations.

A format does not check the rules of a field: see :mod:`lib.record.checks`.
"""

from __future__ import annotations

from lib.decode.formats.base import Format
from lib.decode.formats.json import JsonFormat
from lib.record.contract import Contract

#: Name in a contract → format. JSON is the only one, and the default of contracts.
FORMATS: dict[str, Format] = {"json": JsonFormat()}


def find_format(contract: Contract) -> Format:
    """Find the format of a contract's records."""
    return FORMATS[contract.format]
