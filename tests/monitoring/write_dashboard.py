"""Write conf/monitoring/dashboard.json: ``python -m tests.monitoring.write_dashboard``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from tests.support.prometheus import DASHBOARD

# The schema of Grafana 11 and later.
_SCHEMA_VERSION = 39
_COLUMNS = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# The series that the variables choose.
_CHOSEN = 'job=~"$job",instance=~"$instance"'
_NO_YES = {
    "0": {"text": "no", "color": "red", "index": 0},
    "1": {"text": "yes", "color": "green", "index": 1},
}
_YES_NO = {
    "0": {"text": "no", "color": "green", "index": 0},
    "1": {"text": "yes", "color": "red", "index": 1},
}


@dataclass(frozen=True)
class Panel:
    """One panel of the dashboard.

    Attributes:
        title: the heading.
        kind: the kind of panel.
        unit: the unit of its values, by Grafana's name.
        description: a sentence that says what the panel shows, and what would be wrong.
        queries: the expressions with their legends; ``*}`` in an expression is the choice of the
            variables.
        width: the number of the 24 columns.
        mappings: the texts and colours for values.
        stacked: whether areas stand on each other.
    """

    title: str
    kind: Literal["stat", "timeseries", "table", "heatmap", "state-timeline"]
    unit: str
    description: str
    queries: tuple[tuple[str, str], ...]
    width: int = 8
    mappings: dict[str, Any] | None = None
    stacked: bool = False


def _quantiles(name: str) -> tuple[tuple[str, str], ...]:
    rate = f"sum by (le) (rate(scoring_{name}_bucket{{*}}[$__rate_interval]))"
    return tuple(
        (f"histogram_quantile({share / 100}, {rate})", f"{share} %") for share in (50, 95, 99)
    )


ROWS: dict[str, tuple[Panel, ...]] = {
    "Is it well?": (
        Panel(
            *("Ready", "stat", "bool_yes_no"),
            "Whether the job scores, or would if there were records.",
            (("min(scoring_ready{*})", "ready"),),
            *(4, _NO_YES),
        ),
        Panel(
            *("Alerts", "stat", "none"),
            "The number of alerts that fire; docs/on_call.md says what to do.",
            (('count(ALERTS{alertname=~"Scoring.*",alertstate="firing"}) or vector(0)', "alerts"),),
            4,
        ),
        Panel(
            *("Since the last commit", "stat", "s"),
            "The time since messages were committed. While the input rests, it grows.",
            (("time() - max(scoring_last_commit_timestamp_seconds{*})", "since"),),
            4,
        ),
        Panel(
            *("Age of the process", "stat", "s"),
            "The time since the process began.",
            (("time() - scoring_start_timestamp_seconds{*}", "{{instance}}"),),
            4,
        ),
        Panel(
            *("Version", "stat", "none"),
            "The versions that run, as names of the values.",
            (("scoring_build_info{*}", "{{version}} {{commit}}, Spark {{spark}}"),),
            8,
        ),
        Panel(
            *("State", "state-timeline", "bool_yes_no"),
            "The state over time; all but running mean that nothing is scored.",
            (("max by (state) (scoring_state{*})", "{{state}}"),),
            16,
        ),
        Panel(
            *("In this state", "stat", "s"),
            "The time since the job came into its present state.",
            (("time() - scoring_state_since_timestamp_seconds{*}", "{{instance}}"),),
        ),
    ),
    "Throughput": (
        Panel(
            *("Arriving and answered", "timeseries", "cps"),
            "Records a second. The job keeps up where the lines lie on each other.",
            (
                ("sum(rate(scoring_end_offset{*}[$__rate_interval]))", "arriving"),
                ("sum(rate(scoring_answered_offset{*}[$__rate_interval]))", "answered"),
            ),
        ),
        Panel(
            *("Answers", "timeseries", "cps"),
            "Messages a second that were committed.",
            (("sum by (answer) (rate(scoring_records_total{*}[$__rate_interval]))", "{{answer}}"),),
        ),
        Panel(
            *("Predictions by label", "timeseries", "cps"),
            "A share that changes without a change of the model means that the records change.",
            (
                (
                    "sum by (label) (rate(scoring_predictions_total{*}[$__rate_interval]))",
                    "{{label}}",
                ),
            ),
            stacked=True,
        ),
    ),
    "Latency": (
        Panel(
            *("From the record's timestamp to the commit", "timeseries", "s"),
            "The times within which so many percent of the records were answered.",
            _quantiles("record_latency_seconds"),
        ),
        Panel(
            *("From the event to the commit", "timeseries", "s"),
            "The same from the event time, if records have one, with the producer's delay.",
            _quantiles("event_latency_seconds"),
        ),
        Panel(
            *("Distribution", "heatmap", "s"),
            "How many records were answered within which time after their timestamps.",
            (
                (
                    "sum by (le) (increase(scoring_record_latency_seconds_bucket{*}"
                    "[$__rate_interval]))",
                    "{{le}}",
                ),
            ),
        ),
    ),
    "Lag": (
        Panel(
            *("Records without an answer", "timeseries", "short"),
            "Offsets up to the end of each partition, those behind open transactions included.",
            (("sum by (partition) (scoring_lag_records{*})", "{{partition}}"),),
        ),
        Panel(
            *("Age of the first record without an answer", "timeseries", "s"),
            "How late each partition is. An age that grows means that it falls behind.",
            (("max by (partition) (scoring_lag_seconds{*})", "{{partition}}"),),
        ),
        Panel(
            *("Held back by open transactions", "timeseries", "short"),
            "Offsets that cannot be read yet. A number that stays means a transaction that hangs.",
            (("sum by (partition) (scoring_held_back_records{*})", "{{partition}}"),),
        ),
        Panel(
            *("Offsets", "table", "none"),
            "How far the answers, what can be read and the end of each partition are.",
            (
                ("max by (partition) (scoring_answered_offset{*})", "answered"),
                ("max by (partition) (scoring_stable_offset{*})", "stable"),
                ("max by (partition) (scoring_end_offset{*})", "end"),
            ),
            24,
        ),
    ),
    "Dead letters": (
        Panel(
            *("Share", "timeseries", "percentunit"),
            "Dead letters by records. NaN where no record was answered.",
            (
                (
                    'sum(rate(scoring_records_total{answer="dead_letter",*}[$__rate_interval]))'
                    " / sum(rate(scoring_records_total{*}[$__rate_interval]))",
                    "dead letters",
                ),
            ),
        ),
        Panel(
            *("Brake", "timeseries", "percentunit"),
            "The share that the brake judges and the share that it allows; 100 % while it engages.",
            (
                ("max(scoring_brake_share_ratio{*})", "dead letters of the last --over"),
                ("min(scoring_brake_limit_ratio{*})", "allowed"),
                ("max by (action) (scoring_brake_engaged{*})", "engaged: {{action}}"),
            ),
        ),
        Panel(
            *("By rule and field", "timeseries", "cps"),
            "Dead letters a second by the first rule that the record breaks.",
            (
                (
                    "sum by (rule, field) (rate(scoring_dead_letters_total{*}[$__rate_interval]))",
                    "{{rule}} {{field}}",
                ),
            ),
        ),
        Panel(
            *("In the range shown", "table", "short"),
            "Dead letters by rule and field. What began within the range counts whole.",
            (
                (
                    "sum by (rule, field) (scoring_dead_letters_total{*} unless"
                    " scoring_dead_letters_total{*} offset $__range"
                    " or increase(scoring_dead_letters_total{*}[$__range]))",
                    "dead letters",
                ),
            ),
        ),
    ),
    "Model": (
        Panel(
            *("In force", "stat", "none"),
            "The model, its version and its engine, as names of the values.",
            (("scoring_model_info{*}", "{{model_version}}"),),
        ),
        Panel(
            *("For", "stat", "s"),
            "The time for which the model has been in force.",
            (("time() - scoring_model_loaded_timestamp_seconds{*}", "{{instance}}"),),
            3,
        ),
        Panel(
            *("Threshold", "stat", "percentunit"),
            "The smallest probability that is predicted as the positive label.",
            (("scoring_model_threshold{*}", "{{instance}}"),),
            3,
        ),
        Panel(
            *("Fallback in use", "stat", "bool_yes_no"),
            "Whether another engine scores than was asked for.",
            (("max(scoring_fallback_in_use{*})", "fallback"),),
            *(3, _YES_NO),
        ),
        Panel(
            *("Champion refused", "stat", "bool_yes_no"),
            "Whether the champion cannot be used, and an older version goes on scoring.",
            (("count(scoring_refused_model_info{*}) or vector(0)", "refused"),),
            *(4, _YES_NO),
        ),
        Panel(
            *("Loads", "stat", "short"),
            "Models that the processes have loaded, and those that they have refused.",
            (("sum by (result) (scoring_model_loads_total{*})", "{{result}}"),),
            3,
        ),
    ),
    "Challenger and shadows": (
        Panel(
            *("Beside the champion", "stat", "none"),
            "The models that score the same records, and their roles, as names of the values.",
            (("scoring_rival_info{*}", "{{role}} {{model_version}}"),),
            5,
        ),
        Panel(
            *("Share of the challenger", "timeseries", "percentunit"),
            "The share of the predictions that each model makes, and the one that is wanted.",
            (
                (
                    "sum by (model_version) (rate(scoring_predictions_total{*}[$__rate_interval]))"
                    " / on () group_left ()"
                    " sum(rate(scoring_predictions_total{*}[$__rate_interval]))",
                    "{{model_version}}",
                ),
                ("max(scoring_challenger_share_ratio{*})", "wanted"),
            ),
            6,
        ),
        Panel(
            *("Shadows' answers", "timeseries", "short"),
            "Messages of shadows a second, by what they are to the champion's answer.",
            (
                (
                    "sum by (model_version, relation)"
                    " (rate(scoring_shadow_answers_total{*}[$__rate_interval]))",
                    "{{model_version}} {{relation}}",
                ),
            ),
            6,
        ),
        Panel(
            *("Shadows' errors", "timeseries", "short"),
            "Records a second for which a shadow gave no answer; the job's own are not concerned.",
            (
                (
                    "sum by (model_version, error)"
                    " (rate(scoring_shadow_errors_total{*}[$__rate_interval]))",
                    "{{model_version}} {{error}}",
                ),
            ),
            4,
        ),
        Panel(
            *("Batches without shadows", "stat", "short"),
            "Batches that were written without shadows, because one with them had failed.",
            (("sum(scoring_shadow_skipped_batches_total{*})", "batches"),),
            3,
        ),
    ),
    "Drift": (
        Panel(
            *("Index of each feature", "timeseries", "none"),
            "Population stability index of the newest window that was judged; see docs/drift.md.",
            (("max by (feature) (scoring_drift_psi{*})", "{{feature}}"),),
        ),
        Panel(
            *("Beyond the limit", "timeseries", "none"),
            "By how much the index of a feature exceeds its limit; below 0 it does not.",
            (
                (
                    "max by (feature) (scoring_drift_psi{*} - scoring_drift_psi_limit{*})",
                    "{{feature}}",
                ),
            ),
        ),
        Panel(
            *("Unseen or null", "timeseries", "percentunit"),
            "The share of records whose value is missing, not allowed, or unknown to training.",
            (("max by (feature, value) (scoring_drift_value_ratio{*})", "{{feature}} {{value}}"),),
        ),
        Panel(
            *("Judged", "stat", "s"),
            "The time since the last record of the newest window that was judged.",
            (("time() - max(scoring_drift_judged_timestamp_seconds{*})", "since"),),
            4,
        ),
        Panel(
            *("Open window", "stat", "s"),
            "The age of the window that is still being counted.",
            (("max(scoring_drift_window_age_seconds{*})", "age"),),
            4,
        ),
        Panel(
            *("Records in it", "stat", "short"),
            "The records that are counted in the open window.",
            (("sum(scoring_drift_window_records{*})", "records"),),
            4,
        ),
    ),
    "Quality by outcomes": (
        Panel(
            *("ROC-AUC", "timeseries", "none"),
            "By the outcomes of the recent complete weeks of each version, with its interval, and"
            " that of its training. Below means: by more than both intervals explain.",
            (
                ("scoring_outcomes_roc_auc{*}", "{{version}}"),
                ("scoring_outcomes_roc_auc_low{*}", "{{version}}, at least"),
                ("scoring_outcomes_roc_auc_high{*}", "{{version}}, at most"),
                ("scoring_outcomes_training_roc_auc{*}", "{{version}}, in its training"),
            ),
        ),
        Panel(
            *("Below its training", "stat", "bool_yes_no"),
            "Whether outcomes fall short of the training of a version.",
            (("max by (version) (scoring_outcomes_below_training{*})", "{{version}}"),),
            *(4, _YES_NO),
        ),
        Panel(
            *("Brier and calibration", "timeseries", "none"),
            "Brier score and expected calibration error; smaller is better.",
            (
                ("scoring_outcomes_brier{*}", "{{version}}, Brier"),
                ("scoring_outcomes_calibration_error{*}", "{{version}}, calibration"),
            ),
        ),
        Panel(
            *("Labelled", "stat", "short"),
            "Predictions of the recent complete weeks that have an outcome.",
            (("max by (version) (scoring_outcomes_labelled_records{*})", "{{version}}"),),
            4,
        ),
        Panel(
            *("Still unlabelled", "stat", "percentunit"),
            "The share of the predictions of these weeks that have no outcome yet.",
            (("max by (version) (scoring_outcomes_unlabelled_ratio{*})", "{{version}}"),),
            4,
        ),
        Panel(
            *("Since the last report", "stat", "s"),
            "The time since the newest report of outcomes.",
            (("time() - max(scoring_outcomes_as_of_timestamp_seconds{*})", "since"),),
            4,
        ),
    ),
    "Batches": (
        Panel(
            *("Duration", "timeseries", "s"),
            "The times within which so many percent of the batches with records were done.",
            _quantiles("batch_duration_seconds"),
        ),
        Panel(
            *("Parts", "timeseries", "s"),
            "The mean time of each part of a batch, in Spark's words; addBatch scores and writes.",
            (
                (
                    "sum by (phase) (rate(scoring_batch_phase_seconds_total{*}[$__rate_interval]))"
                    " / on () group_left ()"
                    " sum(rate(scoring_batch_duration_seconds_count{*}[$__rate_interval]))",
                    "{{phase}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            *("Records a batch", "timeseries", "short"),
            "The mean number of records of the batches with records.",
            (
                (
                    "sum(rate(scoring_records_total{*}[$__rate_interval]))"
                    " / sum(rate(scoring_batch_duration_seconds_count{*}[$__rate_interval]))",
                    "records",
                ),
            ),
        ),
    ),
    "Restarts": (
        Panel(
            *("Of the query, by cause", "timeseries", "short"),
            "Restarts of the query within its process, in an hour.",
            (("sum by (cause) (increase(scoring_restarts_total{*}[1h]))", "{{cause}}"),),
        ),
        Panel(
            *("Of the process", "timeseries", "short"),
            "Starts of the process within an hour, after the first one.",
            (("changes(scoring_start_timestamp_seconds{*}[1h])", "{{instance}}"),),
        ),
        Panel(
            *("Replaced by another job", "stat", "short"),
            "How often, within a day, another job of the same name took over.",
            (("sum(max_over_time(scoring_fenced_total{*}[1d]))", "replaced"),),
            4,
        ),
        Panel(
            *("Messages of earlier runs", "stat", "short"),
            "Messages that were left out because an earlier run or attempt had committed them.",
            (("sum(scoring_replayed_messages_total{*})", "messages"),),
            4,
        ),
    ),
    "Memory and processor": (
        Panel(
            *("Memory", "timeseries", "bytes"),
            "Resident memory of the driver, its JVM and the Python workers on its machine.",
            (("sum by (process) (scoring_process_resident_memory_bytes{*})", "{{process}}"),),
            stacked=True,
        ),
        Panel(
            *("Processor", "timeseries", "none"),
            "The number of cores that are used; 1 is one core all the time.",
            (
                (
                    "sum by (process) (rate(scoring_process_cpu_seconds_total{*}"
                    "[$__rate_interval]))",
                    "{{process}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            *("Heap of the JVM", "timeseries", "bytes"),
            "A lower edge that rises for hours is a leak.",
            (
                ("sum(scoring_jvm_heap_used_bytes{*})", "used"),
                ("sum(scoring_jvm_heap_max_bytes{*})", "limit"),
            ),
        ),
    ),
    "Kafka": (
        Panel(
            *("Brokers away", "timeseries", "s"),
            "The time for which no broker has answered.",
            (("max(scoring_brokers_away_seconds{*})", "away"),),
        ),
        Panel(
            *("Errors of clients", "timeseries", "cps"),
            "Failed attempts of the transactions a second, by librdkafka's name of the error.",
            (
                (
                    "sum by (error) (rate(scoring_kafka_client_errors_total{*}[$__rate_interval]))",
                    "{{error}}",
                ),
            ),
        ),
        Panel(
            *("Offsets expire in", "stat", "s"),
            "The time until brokers may forget the group's offsets, unless they are committed.",
            (("min(scoring_offsets_expire_timestamp_seconds{*}) - time()", "left"),),
        ),
    ),
}


def build_dashboard() -> dict[str, Any]:
    """Build the dashboard as JSON types."""
    ids = count(1)
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append(
            {
                "type": "row",
                "id": next(ids),
                "title": title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1},
                "panels": [],
            }
        )
        x, y, height = 0, y + 1, 0
        for panel in row:
            if x + panel.width > _COLUMNS:
                x, y, height = 0, y + height, 0
            own = 4 if panel.kind == "stat" else 8
            place = {"x": x, "y": y, "w": panel.width, "h": own}
            panels.append(_build_panel(panel, next(ids), place))
            x, height = x + panel.width, max(height, own)
        y += height
    return {
        "uid": "scoring",
        "title": "Scoring",
        "description": "jobs/score_stream.py with --metrics; docs/monitoring.md explains it.",
        "tags": ["kafka", "spark", "scoring"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [],
        "annotations": {"list": [_mark_starts()]},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                    "hide": 0,
                    "refresh": 1,
                    "includeAll": False,
                    "multi": False,
                },
                _build_variable("job", "Job", "label_values(scoring_ready, job)"),
                _build_variable(
                    "instance", "Instance", 'label_values(scoring_ready{job=~"$job"}, instance)'
                ),
            ]
        },
        "panels": panels,
    }


def _choose(expression: str) -> str:
    """Put the choice of the variables in the place of ``*}`` in an expression."""
    return expression.replace("*}", f"{_CHOSEN}}}")


def _mark_starts() -> dict[str, Any]:
    return {
        "name": "Starts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": _choose("changes(scoring_start_timestamp_seconds{*}[2m]) > 0"),
        "titleFormat": "the process was started",
    }


def _build_variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _build_panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    is_table = panel.kind == "table"
    is_heatmap = panel.kind == "heatmap"
    targets = [
        {
            "refId": chr(ord("A") + place),
            "datasource": _SOURCE,
            "expr": _choose(expression),
            "legendFormat": legend,
            "instant": panel.kind in ("stat", "table"),
            "range": panel.kind not in ("stat", "table"),
            "format": "table" if is_table else "heatmap" if is_heatmap else "time_series",
        }
        for place, (expression, legend) in enumerate(panel.queries)
    ]
    custom: dict[str, Any] = {}
    if panel.kind == "timeseries":
        mode = "normal" if panel.stacked else "none"
        custom = {"fillOpacity": 10, "stacking": {"mode": mode, "group": "A"}}
    found: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "mappings": (
                    [{"type": "value", "options": panel.mappings}] if panel.mappings else []
                ),
                "custom": custom,
            },
            "overrides": [],
        },
        "options": _find_options(panel),
    }
    if is_table and len(panel.queries) > 1:
        names = {
            f"Value #{target['refId']}": legend
            for target, (_, legend) in zip(targets, panel.queries, strict=True)
        }
        found["transformations"] = [
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {"excludeByName": {"Time": True}, "renameByName": names},
            },
        ]
    elif is_table:
        found["transformations"] = [
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "renameByName": {"Value": panel.queries[0][1]},
                },
            },
        ]
    return found


def _find_options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        by_name = any("_info{" in expression for expression, _ in panel.queries)
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "name" if by_name else "auto",
            "colorMode": "value" if panel.mappings else "none",
            "graphMode": "none",
        }
    if panel.kind == "heatmap":
        return {"calculate": False, "yAxis": {"unit": panel.unit}}
    if panel.kind == "state-timeline":
        return {"showValue": "never", "mergeValues": True, "legend": {"showLegend": False}}
    if panel.kind == "table":
        return {"showHeader": True}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def write_dashboard() -> str:
    """Return the text of the file."""
    return json.dumps(build_dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(write_dashboard(), encoding="utf-8")
