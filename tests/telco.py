"""The contract of the first domain, as its file says it."""

from __future__ import annotations

from lib.record.contract_file import read_contract
from lib.setup.jars import PROJECT_ROOT

CUSTOMER = read_contract(PROJECT_ROOT / "conf" / "contracts" / "telco_churn.toml")
