"""Tools for contracts: draft one from data, compare two, count what breaks one."""
