"""Finds the root cause of an error that has passed through Spark and py4j."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lib.errors import first_line

_MAX_CHARS = 300
# The trace of a Python worker within the JVM's message: its frames, then the error.
_FRAME = re.compile(r'^ +File "(?:.*/)?([^/"]+)", line (\d+)', re.MULTILINE)
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?:: (.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class RaisedError:
    """An error that a Python worker has raised.

    Attributes:
        kind: the name of its class, with the module where it has one.
        words: the first line of its message, which may quote a record.
        file, line: its place.
    """

    kind: str
    words: str
    file: str
    line: str


def find_root_cause(error: BaseException) -> str:
    """Write one line: class and message of the first error in the chain.

    For an error in a Python worker it is class and place only, because the message may quote a
    record.

    Args:
        error: the error that PySpark has raised; it wraps one of the JVM, and that one of a task.
    """
    text = list_causes(error)[-1]
    return find_python_error(text) or first_line(text)[:_MAX_CHARS]


def list_causes(error: BaseException) -> list[str]:
    """List class and message of the errors in the chain, the root cause last.

    The messages may quote records.
    """
    java: Any = getattr(error, "java_exception", None)
    if java is None:
        return [f"{type(error).__name__}: {error}"]
    causes = []
    while java is not None:
        causes.append(str(java.toString()))
        java = java.getCause()
    return causes


def find_python_error(text: str) -> str | None:
    """Find the error of a Python worker and its place; None if the text holds none.

    Args:
        text: the message of ``org.apache.spark.api.python.PythonException``.
    """
    raised = find_raised(text)
    if raised is None:
        return None
    return f"{raised.kind} in a Python worker ({raised.file}, line {raised.line})"


def find_raised(text: str) -> RaisedError | None:
    """Find the error of a Python worker; see :func:`find_python_error`."""
    frames = list(_FRAME.finditer(text))
    raised = _RAISED.search(text, frames[-1].end()) if frames else None
    if raised is None:
        return None
    return RaisedError(raised[1], raised[2] or "", *frames[-1].groups())
