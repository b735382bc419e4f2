"""Tools for contracts: draft one from data, compare two, count the records that break one."""
