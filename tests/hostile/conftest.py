from __future__ import annotations

from tests.end_to_end.conftest import deployment

__all__ = ["deployment"]
