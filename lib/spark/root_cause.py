"""What lies at the bottom of an error that went through Spark and py4j."""

from __future__ import annotations

import re
from typing import Any

from lib.errors import first_line

_MAX_CHARS = 300
# A trace of a Python worker, within what the JVM says: its frames, then the error.
_FRAME = re.compile(r'^ +File "(?:.*/)?([^/"]+)", line (\d+)', re.MULTILINE)
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?:: .*)?$", re.MULTILINE)


def find_root_cause(error: BaseException) -> str:
    """One line: class and message of the first error in the chain.

    Of an error in a Python worker the class and the place only: its message may quote a record.

    Args:
        error: from PySpark; py4j wraps what the JVM raised, the JVM what a task raised.
    """
    java: Any = getattr(error, "java_exception", None)
    if java is None:
        text = f"{type(error).__name__}: {error}"
    else:
        while java.getCause() is not None:
            java = java.getCause()
        text = str(java.toString())
    return find_python_error(text) or first_line(text)[:_MAX_CHARS]


def find_python_error(text: str) -> str | None:
    """What a Python worker raised, and where; None if the text holds no trace of one.

    Args:
        text: of ``org.apache.spark.api.python.PythonException``.
    """
    frames = list(_FRAME.finditer(text))
    raised = _RAISED.search(text, frames[-1].end()) if frames else None
    if raised is None:
        return None
    file, line = frames[-1].groups()
    return f"{raised[1]} in a Python worker ({file}, line {line})"
