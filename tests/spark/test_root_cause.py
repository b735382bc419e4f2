from __future__ import annotations

import pytest

from lib.spark.root_cause import find_python_error

# Spark gives this text; it is shortened here.
TRACE = """o.a.spark.api.python.PythonException: An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/spark/python/lib/pyspark.zip/pyspark/worker.py", line 3380, in main
    process()
    ~~~~~~~^^
  File "/app/lib/stream/one_pass.py", line 51, in score_batch
    raise error
{error}
 SQLSTATE: 38000
"""


@pytest.mark.parametrize(
    ("error", "name"),
    [
        ("ValueError: customer 7590-VHVEG has no name", "ValueError"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("lib.errors.ModelMismatchError: two\nlines", "lib.errors.ModelMismatchError"),
    ],
)
def test_an_error_in_a_worker_is_named_with_its_place_and_without_its_words(
    error: str, name: str
) -> None:
    found = find_python_error(TRACE.replace("{error}", error))

    assert found == f"{name} in a Python worker (one_pass.py, line 51)"


def test_the_last_of_several_errors_counts() -> None:
    between = "\n\nDuring handling of the above exception, another exception occurred:\n\n"
    first = TRACE.replace("{error}", "KeyError: 1").rpartition(" SQLSTATE")[0]
    second = TRACE.replace("{error}", "TypeError: 2").partition("\n")[2]

    found = find_python_error(first + between + second)

    assert found == "TypeError in a Python worker (one_pass.py, line 51)"


@pytest.mark.parametrize("text", ["", "java.io.EOFException: null", "Traceback: none"])
def test_what_no_worker_raised_has_no_such_error(text: str) -> None:
    assert find_python_error(text) is None
