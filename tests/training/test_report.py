"""The report of a version is one file, without anything from elsewhere, in HTML and Markdown."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from lib.record.contract_file import read_contract
from lib.store import ModelStore
from lib.training import evaluation
from lib.training.candidates import CANDIDATES
from lib.training.champion import ChampionComparison, compare_with_champion
from lib.training.data import TrainingData, make_training_data
from lib.training.paired.estimate import Estimate
from lib.training.report.document import Block, Bullets, Heading, Paragraph, Table, write_markdown
from lib.training.report.findings import Findings
from lib.training.report.importance import measure_importances
from lib.training.report.pictures import Line, draw_intervals, draw_lines
from lib.training.report.report import write_report
from lib.training.report.segments import measure_segments
from lib.training.selection import Trial, cross_validate
from tests.support.stored_models import claim_probed
from tests.support.telco import CUSTOMER

DATA = make_training_data(1_000, seed=3, contract=CUSTOMER)
FOLDS = evaluation.assign_folds(DATA.labels, seed=0)
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LOAN = read_contract(Path(__file__).parents[1] / "domains" / "loan.toml")


@pytest.fixture(scope="module")
def trial() -> Trial:
    return cross_validate(CANDIDATES["logistic"], DATA, FOLDS, CUSTOMER, seed=0)


@pytest.fixture(scope="module")
def pages(trial: Trial) -> dict[str, str]:
    metrics = evaluation.measure(DATA.labels, trial.probabilities, FOLDS)
    threshold = evaluation.Threshold(0.4, 0.6, evaluation.Costs(5.0, 1.0), 0.25)
    champion = ChampionComparison("churn@3", "It scored.", Estimate(-0.002, 0.001), 0.84)
    findings = Findings(
        name="churn",
        now=NOW,
        data=DATA,
        contract=CUSTOMER,
        probabilities=trial.probabilities,
        metrics={"sklearn": metrics},
        threshold=threshold,
        importances=measure_importances(trial, DATA, FOLDS, CUSTOMER, seed=0),
        champion=champion,
        training={
            "folds": 5,
            "seed": 0,
            "candidate": "logistic",
            "candidates": {
                "logistic": {
                    "metrics": metrics,
                    "calibration_error": 0.0123,
                    "log_loss_above_best": {"mean": 0.0, "error": 0.0},
                },
                "logistic-interactions": {"left_out": "its matrix would be too large"},
            },
            "compiled": {"onnx": {"largest_difference": 1e-8, "rows": 1234}},
            "f1_at_threshold": 0.6,
            "threshold_rule": threshold.describe_rule(),
        },
    )
    return {name: content.decode() for name, content in write_report(findings).items()}


class Elements(HTMLParser):
    """Collects the elements of a page, and whether each one is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_loads_nothing_and_has_six_pictures(pages: dict[str, str]) -> None:
    page = pages["report.html"]
    elements = Elements()
    elements.feed(page)
    assert elements.open == []
    assert elements.names.count("svg") == 6
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & {*elements.names}
    # The name of the SVG format is no address to load.
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in page
    assert "nan" not in re.sub(r">[^<]*<", "><", page)


SECTIONS = [
    "Data",
    "Quality",
    "Pictures",
    "Threshold",
    "Segments",
    "Importances",
    "Comparison with the champion",
    "Engines",
    "What it must not be used for",
]


def test_both_forms_have_the_same_sections(pages: dict[str, str]) -> None:
    assert re.findall("^## (.*)$", pages["report.md"], re.MULTILINE) == SECTIONS
    assert re.findall("<h2>(.*?)</h2>", pages["report.html"]) == SECTIONS


@pytest.mark.parametrize(
    "expected",
    [
        "# Model churn, trained on 2026-01-31 12:00 UTC",
        "It gives the probability that Churn is Yes.",
        "| rows | 1,000 |",
        "| source | synthetic |",
        "Expected calibration error (ECE): 0.0123,",
        "| logistic-interactions | not tried: its matrix would be too large | – | – | – |",
        "positive from a probability of 0.40: least cost where a missed record costs 5 and a false"
        " alarm 1: 0.2500 a record; F1 0.600.",
        "less that of churn@3, on the same 1,000 rows: -0.00200 ± 0.00100 (standard error): the new"
        " model is better.",
        "- onnx: within 1.0e-08 of sklearn on 1,234 rows",
        "- Anything real: the data are synthetic.",
        "- Finding causes: an importance says what the model looks at",
    ],
)
def test_the_text_says(pages: dict[str, str], expected: str) -> None:
    assert expected in pages["report.md"].replace("\\", "")


def test_a_field_that_nobody_looks_at_has_no_importance() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 500)
    features = DATA.features.head(500).assign(tenure=labels * 40 + 10)
    data = TrainingData(features, labels)
    folds = evaluation.assign_folds(labels, seed=0)
    trial = cross_validate(CANDIDATES["hist-gradient-boosting"], data, folds, CUSTOMER, seed=0)

    found = measure_importances(trial, data, folds, CUSTOMER, seed=0)

    assert {it.field for it in found} == set(CUSTOMER.feature_names)
    assert found[0].field == "tenure"
    assert found[0].low > 1.0
    assert all(it.low <= it.mean <= it.high for it in found)
    gender = next(it for it in found if it.field == "gender")
    assert abs(gender.mean) < 0.01


def test_segments_are_measured_where_they_are_large_enough() -> None:
    features = pd.DataFrame(
        {
            "purpose": ["car"] * 120 + ["home"] * 50,
            "housing": ["owns"] * 160 + [None] * 10,
            "employed": [1] * 170,
            "guarantor": [np.nan] * 170,
            "children": [0.0] * 170,
        }
    )
    for field in LOAN.features:
        if field.name not in features:
            features[field.name] = 1.0
    labels = np.array([1] * 20 + [0] * 100 + [1] * 5 + [0] * 45)
    probabilities = np.where(labels == 1, 0.8, 0.3)

    found = {
        it.name: it
        for it in measure_segments(TrainingData(features, labels), probabilities, 0.5, LOAN)
    }

    assert list(found)[:4] == [
        "purpose = car",
        "purpose = home",
        "purpose = holiday",
        "purpose = other",
    ]
    car = found["purpose = car"]
    assert (car.rows, car.roc_auc, car.recall, car.precision) == (120, 1.0, 1.0, 1.0)
    assert car.share == pytest.approx(0.166667, abs=1e-6)
    assert car.mean == pytest.approx(0.383333, abs=1e-6)
    assert car.log_loss == pytest.approx(0.334420, abs=1e-5)
    home = found["purpose = home"]
    assert (home.rows, home.roc_auc, home.log_loss) == (50, None, None)
    assert found["purpose = holiday"].rows == 0
    assert found["housing = (missing)"].rows == 10
    assert found["guarantor = (missing)"].rows == 170
    assert "amount = 1" not in found


def test_markdown_escapes_what_is_markup() -> None:
    blocks: list[Block] = [
        Heading("a_b"),
        Paragraph("<b> *c*"),
        Bullets(["`d`"]),
        Table(("e|f", "g"), [("[h](i)", "1")]),
    ]
    assert write_markdown("t", blocks) == (
        "# t\n\n## a\\_b\n\n\\<b\\> \\*c\\*\n\n- \\`d\\`\n\n"
        "| e\\|f | g |\n|---|---:|\n| \\[h\\](i) | 1 |\n"
    )


def test_pictures_escape_names_and_stay_within_their_frame() -> None:
    line = Line("<a & b>", (0.0, 1.0), (0.0, 2.0), has_marks=True)
    drawn = draw_lines("t", "x", "y", [line, Line("c", (0, 1), (1, 1))], y_end=2.0)
    assert "&lt;a &amp; b&gt;" in drawn
    assert 'points="55.0,275.0 415.0,35.0"' in drawn
    bars = draw_intervals("t", ["<f>"], [0.5], [-0.5], [1.0])
    assert "&lt;f&gt;" in bars
    assert 'x1="170.0"' in bars
    assert 'x2="415.0"' in bars


def save_champion(store: ModelStore, trial: Trial, contract: Any, training: Any) -> None:
    version = store.save(
        "churn",
        lambda folder: _dump(trial, folder),
        probe=claim_probed,
        metrics={},
        threshold=0.4,
        contract=contract,
        libraries={},
        training=training,
        now=NOW,
    )
    store.promote("churn", version.version)


def _dump(trial: Trial, folder: Path) -> None:
    joblib.dump(trial.pipelines[0], folder / "pipeline.joblib")


def test_without_a_champion_there_is_no_comparison(trial: Trial, tmp_path: Path) -> None:
    found = compare_with_champion(
        ModelStore(tmp_path), "churn", DATA, trial.probabilities, FOLDS, CUSTOMER
    )
    assert found == "There was no champion."


def test_a_champion_of_other_data_scores_as_it_is(trial: Trial, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    save_champion(store, trial, CUSTOMER, {"source": "csv", "sha256": "a"})

    found = compare_with_champion(store, "churn", DATA, trial.probabilities, FOLDS, CUSTOMER)

    assert isinstance(found, ChampionComparison)
    assert found.reference == "churn@1"
    assert found.method == "The champion as it is saved scored the rows of this training."
    # It has seen four folds of these rows, so it is better on them.
    assert found.difference.mean > 0


def test_a_champion_of_the_same_data_is_fitted_again(trial: Trial, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    save_champion(store, trial, CUSTOMER, {"source": "synthetic"})

    found = compare_with_champion(store, "churn", DATA, trial.probabilities, FOLDS, CUSTOMER)

    assert isinstance(found, ChampionComparison)
    assert found.method.startswith("The champion was trained on the same data")
    assert found.difference == Estimate(0.0, 0.0)


def test_a_champion_of_another_contract_is_not_compared(trial: Trial, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    save_champion(store, trial, LOAN, {"source": "synthetic"})

    found = compare_with_champion(store, "churn", DATA, trial.probabilities, FOLDS, CUSTOMER)

    assert isinstance(found, str)
    assert found.startswith("The champion cannot score these rows: churn@1: found contract")


def test_a_damaged_champion_does_not_end_the_training(trial: Trial, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    save_champion(store, trial, CUSTOMER, {"source": "csv"})
    (tmp_path / "churn" / "1" / "pipeline.joblib").write_bytes(b"other")

    found = compare_with_champion(store, "churn", DATA, trial.probabilities, FOLDS, CUSTOMER)

    assert isinstance(found, str)
    assert "expected sha256" in found
