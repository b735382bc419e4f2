"""``jobs/contract.py`` works as a process."""

from __future__ import annotations

import json
from pathlib import Path

from lib.setup.places import PROJECT_ROOT
from lib.synth import encode_record
from tests.record.test_contract_file import LOAN
from tests.support.process import run_python
from tests.support.telco import CONTRACT_FILE, CUSTOMER

JOB = str(PROJECT_ROOT / "jobs" / "contract.py")


def test_a_contract_is_drafted_checked_compared_and_shown(tmp_path: Path) -> None:
    data = tmp_path / "orders.csv"
    data.write_text("id,size,label\na,1,no\nb,2.5,yes\nc,9,no\n")
    drafted, changed = tmp_path / "orders.toml", tmp_path / "changed.toml"

    done = run_python(JOB, "infer", "--data", str(data), "--output", str(drafted))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{drafted}: 1 features; look at:\n"
        "  id was taken for the identifier.\n"
        "  label was taken for the label.\n"
    )

    done = run_python(JOB, "check", str(drafted), "--data", str(data))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "3 of 3 records keep the contract"

    changed.write_text(drafted.read_text().replace("maximum = 10", "maximum = 5"))
    done = run_python(JOB, "check", str(changed), "--data", str(data))
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == [
        "2 of 3 records keep the contract",
        "   records  field: rule, and the first of them",
        "         1  size: out_of_range",
        "            row 3: 9.0",
    ]

    done = run_python(JOB, "diff", str(drafted), str(changed))
    assert done.stdout == (
        "records may not fit  models train again  feature size: a finite number from 1 to 10 →"
        " a finite number from 1 to 5\n"
    )
    assert run_python(JOB, "diff", str(drafted), str(drafted)).stdout == (
        "both contracts say the same\n"
    )

    done = run_python(JOB, "show", str(LOAN))
    assert "| `income` | feature | a finite number from 0 on; may be missing; at" in done.stdout


def test_json_lines_are_checked_as_the_stream_checks_them(tmp_path: Path) -> None:
    valid = {"customerID": "7590-VHVEG", **CUSTOMER.stand_ins}
    lines = [
        encode_record(valid, CUSTOMER),
        b"{",
        encode_record({**valid, "tenure": None, "gender": "?"}, CUSTOMER),
    ]
    data = tmp_path / "records.jsonl"
    data.write_bytes(b"\n".join(lines) + b"\n")

    done = run_python(JOB, "check", str(CONTRACT_FILE), "--data", str(data), "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[1]) == {
        "records": 3,
        "valid": 1,
        "violations": [
            {"field": "", "rule": "not_json", "records": 1},
            {"field": "gender", "rule": "not_allowed", "records": 1},
            {"field": "tenure", "rule": "missing", "records": 1},
        ],
    }


def test_an_existing_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    data = tmp_path / "orders.csv"
    data.write_text("id,size,label\na,1,no\nb,2.5,yes\n")

    done = run_python(JOB, "infer", "--data", str(data), "--output", str(data))

    assert done.returncode == 2
    assert done.stderr == f"error: --output {data}: exists (replace it with --overwrite)\n"
    assert data.read_text().startswith("id,")
