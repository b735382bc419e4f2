"""The engine knows no domain: names of fields, topics, labels and models are data."""

from __future__ import annotations

import re
from pathlib import Path

LIB = Path(__file__).parents[1] / "lib"
SAMPLER = LIB / "synth" / "telco"
_DOMAIN = re.compile("churn|telco|customer", re.IGNORECASE)
# Only code that asks for calibrated Telco records names the module that makes them.
_IMPORT = re.compile(r"^from lib\.synth\.telco import .*$", re.MULTILINE)
_MAY_IMPORT = {"tools/demo/scenario.py", "training/data.py"}


def test_no_module_but_the_sampler_names_the_domain() -> None:
    found = {}
    for path in LIB.rglob("*.py"):
        if SAMPLER in path.parents:
            continue
        text = _IMPORT.sub("", path.read_text())
        if lines := [line for line in text.splitlines() if _DOMAIN.search(line)]:
            found[path.relative_to(LIB).as_posix()] = lines

    assert found == {}


def test_only_the_demo_and_training_data_take_the_sampler() -> None:
    importers = {
        path.relative_to(LIB).as_posix()
        for path in LIB.rglob("*.py")
        if _IMPORT.search(path.read_text()) and SAMPLER not in path.parents
    }

    assert importers == _MAY_IMPORT
