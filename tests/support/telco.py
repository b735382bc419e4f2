"""Load the Telco contract from its file."""

from __future__ import annotations

from lib.record.contract_file import read_contract
from lib.store.contract import CONTRACTS

CONTRACT_FILE = CONTRACTS / "telco_churn.toml"
CUSTOMER = read_contract(CONTRACT_FILE)
