"""Makes seeded synthetic records of any contract, and breaks records in known ways."""

from lib.synth.faults import FAULTS, break_record, list_faults
from lib.synth.records import encode_record, iter_records
from lib.synth.sampler import draw_features, draw_records

__all__ = [
    "FAULTS",
    "break_record",
    "draw_features",
    "draw_records",
    "encode_record",
    "iter_records",
    "list_faults",
]
