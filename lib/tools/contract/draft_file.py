"""Drafts a contract from a CSV, Parquet or JSON Schema file."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lib.errors import SettingsError, SourceError, first_line
from lib.record.contract_file import parse_contract
from lib.record.contract_writer import write_contract
from lib.record.tables import read_table
from lib.tools.contract.drafting import Draft, Roles, draft_contract
from lib.tools.contract.json_schema import draft_from_schema

_OUTSIDE_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


def draft_file(path: Path, name: str | None, roles: Roles) -> Draft:
    """Draft a contract.

    Args:
        path: a CSV or Parquet file, or a JSON Schema (``.json``).
        name: the name of the domain; by default that of the file.
        roles: the columns that are known to be identifier, label and event time.

    Raises:
        SettingsError: there is no such file, or a column that is needed cannot be guessed.
        SourceError: the file cannot be read.
    """
    name = name or _OUTSIDE_NAMES.sub("-", path.stem).strip("-").lower()
    try:
        if path.suffix == ".json":
            return draft_from_schema(name, json.loads(path.read_text(encoding="utf-8")), roles)
        return draft_contract(name, read_table(path), roles)
    except FileNotFoundError as error:
        raise SettingsError(f"--data {path}: no such file") from error
    except (OSError, ValueError) as error:
        raise SourceError(
            f"--data {path}: cannot be read: {first_line(str(error))}",
            hint="name a CSV, a Parquet or a JSON Schema file",
        ) from error


def write_draft(draft: Draft, source: str) -> str:
    """Write the text of a contract's file, with comments on what a person should check.

    Raises:
        ContractError: the draft is no valid contract, for example with two columns of one name.
    """
    header = [f"Drafted from {source}: read it, and correct it.", *draft.notes]
    text = "".join(f"# {line}\n" for line in header) + "\n" + write_contract(draft.contract)
    parse_contract(text, f"the draft of {source}")
    return text
