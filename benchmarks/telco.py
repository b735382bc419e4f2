"""The contract of the records that benchmarks send."""

from __future__ import annotations

from pathlib import Path

from lib.record.contract_file import read_contract

_ROOT = Path(__file__).resolve().parents[1]

CUSTOMER = read_contract(_ROOT / "conf" / "contracts" / "telco_churn.toml")
# Names that the hand-written programs take for granted.
assert CUSTOMER.event_time is not None
EVENT_TIME = CUSTOMER.event_time.name
