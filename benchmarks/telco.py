"""Read the contract of the records that benchmarks send."""

from __future__ import annotations

from lib.record.contract_file import read_contract
from lib.store.contract import CONTRACTS

CUSTOMER = read_contract(CONTRACTS / "telco_churn.toml")
# The hand-written programs rely on this name.
assert CUSTOMER.event_time is not None
EVENT_TIME = CUSTOMER.event_time.name
