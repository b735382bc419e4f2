"""What lies at the bottom of an error that went through Spark and py4j."""

from __future__ import annotations

from typing import Any

_MAX_CHARS = 300


def find_root_cause(error: BaseException) -> str:
    """One line: class and message of the first error in the chain.

    Args:
        error: from PySpark; py4j wraps what the JVM raised, the JVM what a task raised.
    """
    java: Any = getattr(error, "java_exception", None)
    if java is None:
        return _first_line(f"{type(error).__name__}: {error}")
    while java.getCause() is not None:
        java = java.getCause()
    return _first_line(java.toString())


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")[:_MAX_CHARS]
