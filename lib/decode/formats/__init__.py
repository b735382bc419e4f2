"""The formats of a record: how its bytes become values. All that an engine knows of one is here.

A format is a module or a folder beside this file, and a row of :data:`FORMATS`. It provides what
:class:`~lib.decode.formats.base.Format` lists, for each engine what that needs:

- the reference, one record at a time: the values of a record by name, objects within it as dicts,
  or the reason why it cannot be read; and how a value is quoted in a violation;
- Arrow, whole batches: a parser that gives rows of the contract's types and may refuse what it
  likes, for the reference decides on that;
- Spark: the record as a struct of the contract's fields, which nearly always suffices, and as a
  VARIANT, which keeps the kinds of all values, to say what is wrong with it.

The rules of a field are no business of a format: see :mod:`lib.record.checks`.
"""

from __future__ import annotations

from lib.decode.formats.base import Format
from lib.decode.formats.json import JsonFormat
from lib.record.contract import Contract

#: By the name that a contract has for it. JSON is the only one, and what no contract's file names.
FORMATS: dict[str, Format] = {"json": JsonFormat()}


def find_format(contract: Contract) -> Format:
    """The format of a contract's records."""
    return FORMATS[contract.format]
