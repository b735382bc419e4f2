from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.sinks.stamp import Stamp

NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]))


@given(NAMES, NAMES, st.integers(-1, 10**9))
def test_a_stamp_reads_back_as_it_was_written(query: str, run: str, batch: int) -> None:
    stamp = Stamp(query, run, batch)

    assert Stamp.from_metadata(stamp.to_metadata()) == stamp


@pytest.mark.parametrize(
    "metadata", [None, "", "v1", "v0/q/r/1", "v1/q/r/x", "v1/q/r/1/2", "hello"]
)
def test_foreign_metadata_is_no_stamp(metadata: str | None) -> None:
    assert Stamp.from_metadata(metadata) is None
