"""Bring the tables of docs/settings.md up to date: ``python -m tests.docs.write_settings``."""

from __future__ import annotations

import re

from lib.settings.registry import JOB_SETTINGS
from tests.docs.documents import ROOT, render_settings


def main() -> None:
    path = ROOT / "docs" / "settings.md"
    text = path.read_text(encoding="utf-8")
    for job, kind in JOB_SETTINGS.items():
        heading = f"## jobs/{job}.py\n\n"
        table = heading + render_settings(kind)
        if heading not in text:
            text += f"\n{table}"
        else:
            pattern = rf"{re.escape(heading)}(?:All settings of .*\n\n)?(?:\|.*\n)*"
            text = re.sub(pattern, table.replace("\\", r"\\"), text)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
