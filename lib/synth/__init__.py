"""Seeded synthetic customers of the contract's schema, and what is wrong with bad ones."""

from lib.synth.customers import BLOCK_ROWS, iter_customers, make_customers
from lib.synth.faults import FAULTS, break_record
from lib.synth.records import encode_record, iter_records

__all__ = [
    "BLOCK_ROWS",
    "FAULTS",
    "break_record",
    "encode_record",
    "iter_customers",
    "iter_records",
    "make_customers",
]
