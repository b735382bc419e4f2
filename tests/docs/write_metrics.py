"""Bring the table of docs/metrics.md up to date: ``python -m tests.docs.write_metrics``."""

from __future__ import annotations

from tests.docs.documents import ROOT, render_metrics


def main() -> None:
    path = ROOT / "docs" / "metrics.md"
    prose, _, _ = path.read_text(encoding="utf-8").partition("| metric |")
    path.write_text(prose + render_metrics(), encoding="utf-8")


if __name__ == "__main__":
    main()
