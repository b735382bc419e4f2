"""Synthetic customers of a telephone company, calibrated on the IBM Telco data set."""

from lib.synth.telco.customers import BLOCK_ROWS, iter_customers, make_customers

__all__ = ["BLOCK_ROWS", "iter_customers", "make_customers"]
