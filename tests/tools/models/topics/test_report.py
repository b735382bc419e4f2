"""The report of a comparison: what two models' answers tell, for people and for machines."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest

from lib.tools.models.topics.answers import Answer
from lib.tools.models.topics.facts import build_facts
from lib.tools.models.topics.findings import (
    PairedFindings,
    UnpairedFindings,
    find_paired,
    find_shared_time,
    find_unpaired,
)
from lib.tools.models.topics.outcomes import Outcomes
from lib.tools.models.topics.pairing import Pair, Pairs
from lib.tools.models.topics.report import Report, list_blocks
from lib.tools.models.topics.segments import divide_by_score
from lib.training.report.document import write_lines, write_markdown
from tests.support.telco import CUSTOMER
from tests.tools.models.topics.answers import FIRST, SECOND, answer

NAMES = (FIRST, SECOND)


def make_pairs(count: int) -> Pairs:
    """Make pairs: A says 0.2 and 0.7 in turns, B adds 0.1, or 0.3 to each tenth."""
    pairs = []
    for number in range(count):
        before = (0.2, 0.7)[number % 2]
        after = before + (0.3 if number % 10 == 0 else 0.1)
        name = f"C{number}"
        pairs.append(Pair(answer(name, before), answer(name, round(after, 6), SECOND)))
    return Pairs(pairs, Counter(ValueError=2), without_second=3)


def make_outcomes(count: int) -> Outcomes:
    """Make outcomes: each third customer says Yes."""
    outcomes = Outcomes(CUSTOMER)
    for number in range(count):
        label = "Yes" if number % 3 == 0 else "No"
        outcomes.add({"customerID": f"C{number}", "Churn": label, "outcome_ts": "2026-12-01"})
    return outcomes


def compare(count: int, outcomes: Outcomes | None = None) -> PairedFindings:
    found = make_pairs(count)
    probabilities = np.array([it.first.probability for it in found.pairs])
    fields = [divide_by_score(probabilities)]
    return find_paired(NAMES, found, 4, "Yes", fields=fields, outcomes=outcomes)


def write(*findings: PairedFindings | UnpairedFindings, notes: tuple[str, ...] = ()) -> list[str]:
    return list(write_lines(list(list_blocks(Report(findings, notes, ("No", "Yes"))))))


def test_pairs_are_reported() -> None:
    assert write(compare(200)) == [
        "A = churn@1/onnx, B = churn@2/onnx, its shadow",
        "",
        "Paired: 200 records of 200 subjects, scored from 2026-11-23T14:20:00.000Z to",
        "2026-11-23T14:20:00.000Z, which both have scored.",
        "",
        "- Same label: 180 of 200, 90.00 %, 95 % interval 85.06 % to 93.43 %.",
        "- B failed on 2 more records: ValueError 2.",
        "- Without a partner: 3 predictions of A have no answer of B, between its first",
        "  and its last one; 4 answers of B have no prediction of any model.",
        "",
        "                        A        B     B - A        95 % interval",
        "share of Yes      50.00 %  60.00 %  +10.00 %  +5.81 % to +14.19 %",
        "mean probability   0.4500   0.5700   +0.1200   +0.1116 to +0.1284",
        "",
        "probability    least      5 %     25 %   median     75 %     95 %     most",
        "A             0.2000   0.2000   0.2000   0.4500   0.7000   0.7000   0.7000",
        "B             0.3000   0.3000   0.3000   0.6500   0.8000   0.8000   0.8000",
        "B - A        +0.1000  +0.1000  +0.1000  +0.1000  +0.1000  +0.3000  +0.3000",
        "",
        "labels that change  records    share",
        "No becomes Yes           20  10.00 %",
        "",
        "score of A  records  same label  to Yes  to No       B - A, 95 %",
        "0.2 to 0.3      100     80.00 %      20      0  +0.1400 ± 0.0160",
        "0.7 to 0.8      100    100.00 %       0      0  +0.1000 ± 0.0000",
        "",
        "- Segments of at least 20 records are listed. Among 20 intervals one is wrong on",
        "  average.",
    ]


def test_quality_is_reported_with_the_sample_that_would_be_needed() -> None:
    lines = write(compare(200, make_outcomes(150)))

    assert lines[lines.index("  average.") + 2 :] == [
        "- A and B: 150 of 200 records with an outcome (75.00 %), 50 of them Yes; 50",
        "  without an outcome yet, 0 scored after their outcome, 0 with two outcomes at",
        "  one time.",
        "- The mean probability of A is 0.4500 where there is an outcome and 0.4500 where",
        "  there is none yet.",
        "- The mean probability of B is 0.5700 where there is an outcome and 0.5700 where",
        "  there is none yet.",
        "",
        "quality        A       B       B - A, 95 %  needed     better",
        "ROC-AUC   0.5000  0.5000  +0.0000 ± 0.0242       –  not known",
        "Brier     0.2983  0.3343  +0.0360 ± 0.0219     110          A",
        "log loss  0.8034  0.8986  +0.0952 ± 0.0556     100          A",
        "",
        "'needed' is the number of records with an outcome that would tell a difference",
        "of this size from none, with 80 % power at a level of 5 %; there are 150.",
    ]


def test_too_few_outcomes_tell_nothing_of_quality() -> None:
    lines = write(compare(200, make_outcomes(29)))

    assert lines[-3:] == [
        "",
        "The outcomes are too few to compare quality: expected at least 100 of each",
        "model, and 10 of each label.",
    ]
    assert any("29 of 200 records with an outcome (14.50 %), 10 of them Yes" in it for it in lines)


def make_groups() -> tuple[list[Answer], list[Answer]]:
    first = [answer(f"C{it}", (0.2, 0.7)[it % 2], at=it % 60) for it in range(180)]
    second = [answer(f"D{it}", (0.3, 0.8)[it % 2], SECOND, at=it % 60) for it in range(120)]
    return first, second


def test_groups_are_reported_as_unpaired() -> None:
    lines = write(find_unpaired(NAMES, make_groups(), "Yes", None))

    assert lines == [
        "A = churn@1/onnx, B = churn@2/onnx, not paired",
        "",
        "Unpaired: A has scored 180 records of 180 subjects, B 120 others of 120, scored",
        "from 2026-11-23T14:20:00.000Z to 2026-11-23T14:20:59.000Z. Part of each",
        "difference comes from the records; a shadow gives a paired comparison.",
        "",
        "                        A        B    B - A         95 % interval",
        "share of Yes      50.00 %  50.00 %  +0.00 %  -11.65 % to +11.65 %",
        "mean probability   0.4500   0.5500  +0.1000    +0.0418 to +0.1582",
        "",
        "probability   least     5 %    25 %  median    75 %    95 %    most",
        "A            0.2000  0.2000  0.2000  0.4500  0.7000  0.7000  0.7000",
        "B            0.3000  0.3000  0.3000  0.5500  0.8000  0.8000  0.8000",
    ]


def test_groups_have_their_own_outcomes() -> None:
    outcomes = make_outcomes(180)
    for number in range(110):
        label = "Yes" if number % 3 == 0 else "No"
        outcomes.add({"customerID": f"D{number}", "Churn": label, "outcome_ts": "2026-12-01"})

    lines = write(find_unpaired(NAMES, make_groups(), "Yes", outcomes))

    assert any(it.startswith("- A: 180 of 180 records with an outcome (100.00 %)") for it in lines)
    assert any(it.startswith("- B: 110 of 120 records with an outcome (91.67 %)") for it in lines)
    assert lines[-1].endswith("there are 290.")
    assert next(it for it in lines if it.startswith("Brier")).split()[-2:] == ["not", "known"]


def test_only_the_time_in_which_both_scored_is_compared() -> None:
    first = [answer("a", 0.1, at=it) for it in range(10)]
    second = [answer("b", 0.1, SECOND, at=it) for it in range(5, 20)]

    both = find_shared_time(first, second)

    assert [len(it) for it in both] == [5, 5]
    assert find_shared_time(first[:3], second) == ([], [])


def test_the_report_fits_into_80_columns() -> None:
    lines = write(compare(40_000, make_outcomes(30_000)), notes=("A note. " * 30,))

    assert max(map(len, lines)) <= 80


def test_the_report_for_machines_has_all_of_it() -> None:
    found = compare(200, make_outcomes(150))
    report = Report([found], ["A note."], ("No", "Yes"), cut=datetime(2026, 11, 23, tzinfo=UTC))

    facts = json.loads(json.dumps(build_facts(report), allow_nan=False))

    assert (facts["cut"], facts["notes"]) == ("2026-11-23T00:00:00.000Z", ["A note."])
    (one,) = facts["findings"]
    assert one["is_paired"] is True
    assert [it["name"] for it in one["sides"]] == [FIRST, SECOND]
    assert one["failures"] == {"ValueError": 2}
    assert one["agreement"]["changes"] == {"No becomes Yes": 20}
    assert one["agreement"]["same"]["share"] == 0.9
    assert one["agreement"]["same"]["interval"] == pytest.approx([0.850594, 0.934330], abs=1e-5)
    assert one["mean_shift"]["value"] == pytest.approx(0.12)
    assert [it["value"] for it in one["segments"]] == ["0.2 to 0.3", "0.7 to 0.8"]
    assert one["quality"]["sides"][0]["statuses"] == {"labelled": 150, "unlabelled": 50}
    brier = one["quality"]["measured"][1]
    assert (brier["name"], brier["needed"], brier["is_told_apart"]) == ("brier", 112, True)


def test_an_error_that_nobody_knows_is_null() -> None:
    pairs = Pairs([Pair(answer("C1", 0.2), answer("C1", 0.4, SECOND))])
    found = find_paired(NAMES, pairs, 0, "Yes", fields=[], outcomes=None)

    facts = build_facts(Report([found], [], ("No", "Yes")))

    assert facts["findings"][0]["mean_shift"]["interval"] is None
    assert any(it.startswith("mean probability") and it.endswith("–") for it in write(found))


def test_the_report_is_markdown_too() -> None:
    text = write_markdown(
        "Comparison", list(list_blocks(Report([compare(200)], [], ("No", "Yes"))))
    )

    assert "\n## A = churn@1/onnx, B = churn@2/onnx, its shadow\n" in text
    assert "\n| score of A | records | same label | to Yes | to No | B - A, 95 % |\n" in text
