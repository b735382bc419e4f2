from __future__ import annotations

from benchmarks.tables import format_markdown, lay_out

HEADINGS = ("who", "rate", "memory", "first")
LINES = [("job", "1,000", "2.0 GiB", "8.1 s"), ("hand-loop", "90 (80–100)", "–", "0.5 s")]


def test_figures_stand_below_the_ends_of_their_headings() -> None:
    assert lay_out(HEADINGS, LINES).splitlines() == [
        "who               rate   memory  first",
        "─────────  ───────────  ───────  ─────",
        "job              1,000  2.0 GiB  8.1 s",
        "hand-loop  90 (80–100)        –  0.5 s",
    ]


def test_columns_without_a_place_come_below_with_the_names_again() -> None:
    assert lay_out(HEADINGS, LINES, width=32).splitlines() == [
        "who               rate   memory",
        "─────────  ───────────  ───────",
        "job              1,000  2.0 GiB",
        "hand-loop  90 (80–100)        –",
        "",
        "who        first",
        "─────────  ─────",
        "job        8.1 s",
        "hand-loop  0.5 s",
    ]


def test_a_cell_is_never_cut() -> None:
    assert lay_out(("who", "rate"), [("exactly-once/onnx", "190,215")], width=10).splitlines() == [
        "who                   rate",
        "─────────────────  ───────",
        "exactly-once/onnx  190,215",
    ]


def test_a_document_gets_all_columns_side_by_side() -> None:
    assert format_markdown(HEADINGS, LINES, texts=2).splitlines() == [
        "| who | rate | memory | first |",
        "|---|---|--:|--:|",
        "| job | 1,000 | 2.0 GiB | 8.1 s |",
        "| hand-loop | 90 (80–100) | – | 0.5 s |",
    ]
