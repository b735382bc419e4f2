from __future__ import annotations

# These tests use the fixtures of a whole query.
from tests.end_to_end.conftest import deployment

__all__ = ["deployment"]
