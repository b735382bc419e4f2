"""Draft, check, compare and show contracts, which describe records.

Run it with ``.venv/bin/python jobs/contract.py --help``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.errors import SettingsError
from lib.exit_codes import ExitCode
from lib.record.contract_file import read_contract
from lib.settings.command import run_command
from lib.tools.contract.comparison import compare_contracts
from lib.tools.contract.draft_file import draft_file, write_draft
from lib.tools.contract.drafting import Roles
from lib.tools.contract.survey import as_json, describe_survey, survey_file


def infer(options: argparse.Namespace) -> int:
    """Draft a contract from a file, for a person to correct."""
    roles = Roles(options.identifier, options.label, options.positive, options.event_time)
    draft = draft_file(options.data, options.name, roles)
    text, output = write_draft(draft, options.data.name), options.output
    if output is None:
        print(text, end="")
        return ExitCode.DONE
    if output.exists() and not options.overwrite:
        raise SettingsError(f"--output {output}: exists", hint="replace it with --overwrite")
    output.write_text(text, encoding="utf-8")
    print(f"{output}: {len(draft.contract.features)} features; look at:")
    print(*(f"  {note}" for note in draft.notes), sep="\n")
    return ExitCode.DONE


def check(options: argparse.Namespace) -> int:
    """Validate a contract's file and, with --data, count violations of records."""
    contract = read_contract(options.file)
    print(f"{options.file}: contract {contract.name}, {len(contract.features)} features")
    if options.data is None:
        return ExitCode.DONE
    survey = survey_file(options.data, contract)
    print(as_json(survey) if options.json else "\n".join(describe_survey(survey)))
    return ExitCode.DONE if survey.valid == survey.records else ExitCode.FAILED


def diff(options: argparse.Namespace) -> int:
    """Say what has changed, and whether records and models of the old contract still fit."""
    changes = compare_contracts(read_contract(options.old), read_contract(options.new))
    for change in changes:
        records = "fit" if change.records_fit else "may not fit"
        models = "fit" if change.models_fit else "train again"
        print(f"records {records:<11}  models {models:<11}  {change.what}")
    if not changes:
        print("both contracts say the same")
    return ExitCode.DONE


def show(options: argparse.Namespace) -> int:
    """Print the table of a contract's fields."""
    print(read_contract(options.file).to_markdown(), end="")
    return ExitCode.DONE


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for work, arguments in COMMANDS.items():
        command = commands.add_parser(work.__name__, help=work.__doc__)
        command.set_defaults(work=work)
        for argument, facts in arguments.items():
            command.add_argument(argument, **facts)
    return parser


FILE: dict[str, Any] = {"type": Path, "metavar": "FILE"}
COMMANDS: dict[Callable[[argparse.Namespace], int], dict[str, dict[str, Any]]] = {
    infer: {
        "--data": {**FILE, "required": True, "help": "CSV, Parquet or JSON Schema (.json)"},
        "--output": {**FILE, "help": "TOML file to write; standard output where not given"},
        "--overwrite": {"action": "store_true", "help": "replace the file that is there"},
        "--name": {"help": "name of the domain; the file's where not given"},
        "--identifier": {"help": "column of the identifier; guessed where not given"},
        "--label": {"help": "column of the label; guessed where not given"},
        "--positive": {"help": "value of the label whose probability is to be predicted"},
        "--event-time": {"help": "column of the event time; guessed where not given"},
    },
    check: {
        "file": {**FILE, "help": "TOML file of the contract"},
        "--data": {**FILE, "help": "records: CSV, Parquet, or one JSON object a line"},
        "--json": {"action": "store_true", "help": "print the counts as JSON"},
    },
    diff: {
        "old": {**FILE, "metavar": "OLD", "help": "TOML file"},
        "new": {**FILE, "metavar": "NEW", "help": "TOML file"},
    },
    show: {"file": {**FILE, "help": "TOML file of the contract"}},
}


if __name__ == "__main__":
    chosen = build_parser().parse_args()
    sys.exit(run_command(lambda: chosen.work(chosen)))
