"""A challenger and shadows are seen in the metrics, on the page and in its sentence."""

from __future__ import annotations

import time
from dataclasses import replace

from lib.exactly_once.transaction.writer import WriteReport
from lib.messages.tally import Relation, Tally, read_shadow, spell_shadow
from lib.telemetry.figures import Figures
from lib.telemetry.monitor import Monitor
from lib.telemetry.page.history import History, take_sample
from lib.telemetry.page.snapshot import take_snapshot
from lib.telemetry.page.verdict import Level, judge
from lib.telemetry.state import JobState, State
from tests.telemetry.test_metrics import read_samples

OUTCOMES = {
    "out": {"m@1/onnx\tYes": 30, "m@1/onnx\tNo": 60, "m@2/onnx\tNo": 10},
    "dead": {"missing:age": 5},
    "shadows": {
        "m@3/onnx\tagrees\tYes": 20,
        "m@3/onnx\tagrees\tNo": 50,
        "m@3/onnx\tdiffers\tNo": 10,
        "m@3/onnx\talone\tNo": 10,
        "m@3/onnx\terror\tTimeoutError": 7,
        "m@3/onnx\terror\tKeyError": 3,
    },
}


def watch() -> Monitor:
    """Return the monitor of a job with a challenger and two shadows, one of them without a word."""
    monitor = Monitor(is_on=True)
    monitor.name_topics("out", "dead", "shadows")
    monitor.note_rivals("m@2/onnx", 0.1, ["m@3/onnx", "m@4/onnx"])
    return monitor


def fill() -> Figures:
    figures = watch().figures
    figures.add_tally(Tally(OUTCOMES), 0)
    return figures


def test_an_outcome_is_read_as_it_was_spelled() -> None:
    for relation in Relation:
        parts = ("m@3/onnx", relation, "a label")
        assert read_shadow(spell_shadow(*parts)) == parts


def test_messages_of_shadows_are_no_answers() -> None:
    figures = fill()

    assert figures.records == 105
    assert figures.tally.messages == 205
    assert take_sample(figures, 0.0, 0.0).records == 105
    assert read_samples(figures, JobState())["scoring_records_total{answer=prediction}"] == 100


def test_the_metrics_tell_who_scores_and_how_shadows_agree() -> None:
    found = read_samples(fill(), JobState())

    expected = {
        "predictions_total{label=No}{model_version=m@2/onnx}": 10,
        "rival_info{model_version=m@2/onnx}{role=challenger}": 1,
        "rival_info{model_version=m@3/onnx}{role=shadow}": 1,
        "challenger_share_ratio": 0.1,
        "shadow_answers_total{model_version=m@3/onnx}{relation=agrees}": 70,
        "shadow_answers_total{model_version=m@3/onnx}{relation=differs}": 10,
        "shadow_answers_total{model_version=m@3/onnx}{relation=alone}": 10,
        "shadow_answers_total{model_version=m@3/onnx}{relation=error}": 10,
        # An increase is not seen in a series that begins with its first message.
        "shadow_answers_total{model_version=m@4/onnx}{relation=error}": 0,
        "shadow_errors_total{error=TimeoutError}{model_version=m@3/onnx}": 7,
        "shadow_errors_total{error=KeyError}{model_version=m@3/onnx}": 3,
        "shadow_skipped_batches_total": 0,
    }
    assert {name: found[f"scoring_{name}"] for name in expected} == expected


def test_a_job_with_one_model_has_no_figures_of_others() -> None:
    found = read_samples(Figures(), JobState())

    assert not [name for name in found if "rival" in name or "challenger" in name]
    assert not [name for name in found if name.startswith("scoring_shadow_answers")]


def test_the_page_tells_shares_agreement_and_errors() -> None:
    found = take_snapshot(fill(), JobState(), History(), time.time())

    assert found["rivals"] == [
        {
            "role": "challenger",
            "model": "m@2/onnx",
            "wanted_share": 0.1,
            "answers": 10,
            "share": 0.1,
        },
        {
            "role": "shadow",
            "model": "m@3/onnx",
            "answers": 90,
            "agreement": 0.875,
            "errors": {"TimeoutError": 7, "KeyError": 3},
        },
        {"role": "shadow", "model": "m@4/onnx", "answers": 0, "agreement": None, "errors": {}},
    ]
    assert found["records"] == 105


def test_shadows_that_fail_now_are_to_be_looked_at() -> None:
    figures, job = fill(), JobState()
    job.enter(State.RUNNING)
    history = History()
    now_s = time.time()
    history.add(take_sample(figures, now_s, 0.0))
    quiet = judge(figures, job, history, now_s)
    figures.add_tally(Tally(OUTCOMES), 0)
    history.add(take_sample(figures, now_s + 2, 2.0))

    found = judge(figures, job, history, now_s + 2)

    assert not [it for it in quiet if "Shadows" in it.words]
    [finding] = [it for it in found if it.words.startswith("Shadows")]
    assert finding.level is Level.LOOK
    assert finding.words == (
        "Shadows gave no answer 10 times in the last 105 records; the champion's answers are not"
        " concerned."
    )
    assert finding.document == "on_call.md#scoringshadowerrors"


def test_batches_without_shadows_are_counted_and_told_once() -> None:
    monitor = watch()
    whole = WriteReport(7, {}, {}, 0.0)
    spare = replace(whole, is_spare=True)

    for report in (whole, spare, spare, replace(whole, batch_id=9)):
        monitor.note_report(report)

    assert monitor.figures.spare_batches == 2
    assert [event.text for event in monitor.job.events if event.kind == "shadow"][-2:] == [
        "shadows are left out, because a batch with them failed, from batch 7 on",
        "shadows go on, from batch 9 on",
    ]


def test_the_models_beside_the_champion_are_events() -> None:
    assert [(event.kind, event.text) for event in watch().job.events] == [
        ("challenger", "m@2/onnx answers 0.1 of the records"),
        ("shadow", "m@3/onnx scores beside the champion"),
        ("shadow", "m@4/onnx scores beside the champion"),
    ]
