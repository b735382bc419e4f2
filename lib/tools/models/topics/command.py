"""Does what ``jobs/models.py compare --from-topics`` says."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import SettingsError, SourceError
from lib.exit_codes import ExitCode
from lib.file_errors import naming_file
from lib.kafka.partitions import parse_moment
from lib.record.contract import Contract
from lib.settings.domain import choose_contract
from lib.settings.jobs.models import ModelsSettings
from lib.setup.whole_file import make_whole
from lib.store import ModelReference
from lib.tools.models.naming import name_stored
from lib.tools.models.topics.agreement import Field
from lib.tools.models.topics.answers import Answer, is_model, spell_moment
from lib.tools.models.topics.facts import build_facts
from lib.tools.models.topics.findings import (
    Findings,
    find_paired,
    find_shared_time,
    find_unpaired,
)
from lib.tools.models.topics.outcomes import Outcomes, read_outcome_file
from lib.tools.models.topics.pairing import Pair, Pairing
from lib.tools.models.topics.reading import Answers, TopicReader, Window
from lib.tools.models.topics.report import Report, list_blocks
from lib.tools.models.topics.segments import check_fields, divide_by_field, divide_by_score
from lib.training.report.console import METRIC_TITLES
from lib.training.report.document import write_lines, write_markdown

#: The largest number of messages of a topic, where nothing else is said.
MOST_MESSAGES = 200_000
_TITLE = "Comparison of models by their answers"
# The suffix of a report's file → what writes it.
_FORMS: dict[str, Callable[[Report], str]] = {
    ".json": lambda report: json.dumps(build_facts(report), indent=1, allow_nan=False) + "\n",
    ".md": lambda report: write_markdown(_TITLE, list(list_blocks(report))),
}


def compare_topics(settings: ModelsSettings) -> Generator[str, None, ExitCode]:
    """Compare models by their answers on topics, print the report, and write it to files.

    Raises:
        ScoringError: settings, topics or outcomes cannot be used, or there is nothing to compare.
    """
    contract = choose_contract(settings.contract)
    check_fields(settings.segments, contract)
    files = _check_files(settings)
    comparison = _Comparison(settings, contract)
    report = comparison.run()
    yield from write_lines(list(list_blocks(report)))
    for path in files:
        with naming_file(path), make_whole(path) as fresh:
            fresh.write_text(_FORMS[path.suffix](report), encoding="utf-8")
        yield f"wrote {path}"
    return (yield from _judge(report.findings, settings.tolerance))


def _check_files(settings: ModelsSettings) -> list[Path]:
    files = [Path(it) for it in (settings.output or "").split(",") if it]
    for path in files:
        if path.suffix not in _FORMS:
            raise SettingsError(
                f"--output {path}: found the suffix {path.suffix or 'none'}, expected"
                f" {' or '.join(_FORMS)}",
                hint="name FILE.json for programs, FILE.md for people, or both: A.json,A.md",
            )
        if path.exists() and not settings.overwrite:
            raise SettingsError(f"--output {path}: exists", hint="replace it with --overwrite")
    return files


def _judge(findings: Sequence[Findings], tolerance: float | None) -> Generator[str, None, ExitCode]:
    """Name the metrics of B that are worse than those of A by more than the tolerance."""
    code = ExitCode.DONE
    for found in [] if tolerance is None else findings:
        measured = [] if found.quality is None else found.quality.measured
        name = found.sides[1].name
        if not measured:
            code = ExitCode.FAILED
            yield f"{name}: quality was not measured, so --tolerance is not kept"
        for it in measured:
            if it.loss > tolerance:  # type: ignore[operator]  # there are none without a tolerance
                code = ExitCode.FAILED
                yield (
                    f"{name}: {METRIC_TITLES[it.name]} is worse by {it.loss:.4f}, more than"
                    f" --tolerance {tolerance:g}"
                )
    return code


class _Comparison:
    """One comparison, from the settings to the report."""

    def __init__(self, settings: ModelsSettings, contract: Contract) -> None:
        self._settings = settings
        self._contract = contract
        self._names = [_resolve(it, settings.store) for it in settings.names]
        self._output = settings.output_topic or contract.defaults.output_topic
        self._input = settings.input_topic or contract.defaults.input_topic
        topics = [self._output]
        topics += [it for it in (settings.shadow_topic, settings.outcomes_topic) if it]
        topics += [self._input] if settings.segments else []
        self._reader = TopicReader(settings.cluster, contract, topics)
        self._notes: list[str] = []

    def run(self) -> Report:
        """Read everything, and compare."""
        settings, now = self._settings, datetime.now(UTC)
        outcomes = self._read_outcomes()
        window = Window(
            parse_moment(settings.since, now) if settings.since else None,
            parse_moment(settings.until, now) if settings.until else None,
            settings.count or MOST_MESSAGES,
        )
        topic = settings.shadow_topic or self._output
        answers = self._reader.read_newest(topic, window)
        if not answers.all:
            unreadable = self._reader.unreadable[topic]
            raise SourceError(
                f"topic {topic}: found no answer of a model"
                + (f" among {unreadable:,} messages" if unreadable else "")
                + (f", scored since {spell_moment(answers.cut)}" if answers.cut else ""),
                hint="check the topic, the contract, --since, --until and --count",
            )
        compare = self._compare_shadows if settings.shadow_topic else self._compare_groups
        findings = list(compare(answers, outcomes))
        self._note_what_was_left_out(topic, answers, outcomes)
        return Report(
            findings=findings,
            notes=self._notes,
            labels=(self._contract.negative_label, self._contract.positive_label),
            cut=answers.cut,
            unreadable=dict(self._reader.unreadable),
            outcomes=outcomes,
        )

    def _read_outcomes(self) -> Outcomes | None:
        settings, outcomes = self._settings, Outcomes(self._contract)
        if settings.outcomes is not None:
            read_outcome_file(settings.outcomes, outcomes)
        elif settings.outcomes_topic:
            self._reader.add_outcomes(settings.outcomes_topic, outcomes)
        else:
            return None
        return outcomes

    def _compare_shadows(self, answers: Answers, outcomes: Outcomes | None) -> Iterator[Findings]:
        """Pair each shadow's answers with the predictions of the same records."""
        pairing = Pairing(answers.all)
        self._reader.add_predictions(self._output, pairing, answers.written_ms)
        wanted = {
            names: found
            for names, found in pairing.found.items()
            if found.pairs and (not self._names or self._are_named(names))
        }
        if not wanted:
            models = sorted({first for first, _ in pairing.found})
            raise SourceError(
                f"topic {self._output}: found no prediction of a record that a shadow has scored"
                f"{f' for {self._names[0]} and {self._names[1]}' if self._names else ''}; its"
                f" models at that time are {_list(models)}, the shadows {_list(pairing.shadows)}",
                hint="name the topics of one job, and models that it has",
            )
        for names, found in sorted(wanted.items(), key=lambda it: (-len(it[1].pairs), it[0])):
            yield find_paired(
                names,
                found,
                pairing.count_alone(names[1]),
                self._contract.positive_label,
                fields=list(self._divide(found.pairs)),
                outcomes=outcomes,
            )

    def _divide(self, pairs: Sequence[Pair]) -> Iterator[Field]:
        """Divide pairs by the score of the first model, and by the fields that are named."""
        yield divide_by_score(np.array([it.first.probability for it in pairs], dtype=np.float64))
        names = self._settings.segments
        if names:
            records = [it.first.record for it in pairs]
            times = [it.first.processed for it in pairs]
            span = (min(times), max(times))
            join = self._reader.find_records(self._input, records, span, names)
            found = [join.found.get(it) for it in records]
            for place, name in enumerate(names):
                values = [None if it is None else it[place] for it in found]
                known = [it is not None for it in found]
                yield divide_by_field(values, known, self._contract.field(name))

    def _compare_groups(self, answers: Answers, outcomes: Outcomes | None) -> Iterator[Findings]:
        """Compare the models that answer records of one topic, each its own."""
        groups: dict[str, list[Answer]] = {}
        for answer in answers.all:
            if answer.probability is not None:
                groups.setdefault(answer.model, []).append(answer)
        first, others = self._choose_groups(groups)
        for name in others:
            both = find_shared_time(groups[first], groups[name])
            if not all(both):
                self._notes.append(
                    f"{first} and {name} are not compared: they did not score at the same time."
                )
                continue
            yield find_unpaired((first, name), both, self._contract.positive_label, outcomes)

    def _choose_groups(self, groups: dict[str, list[Answer]]) -> tuple[str, list[str]]:
        """Choose the model that has answered most, and the others; or those that are named."""
        ranked = sorted(groups, key=lambda it: (-len(groups[it]), it))
        if self._names:
            named = [[it for it in ranked if is_model(it, name)] for name in self._names]
            chosen = [it[0] for it in named if it]
        else:
            chosen = ranked
        if len(chosen) < 2:
            raise SourceError(
                f"topic {self._output}: found the models {_list(ranked)}, expected"
                f" {' and '.join(self._names) or 'at least two'}",
                hint="name the topic of a shadow with --shadow-topic, or another --since",
            )
        return chosen[0], chosen[1:]

    def _are_named(self, names: tuple[str, str]) -> bool:
        return all(is_model(it, name) for it, name in zip(names, self._names, strict=True))

    def _note_what_was_left_out(
        self, topic: str, answers: Answers, outcomes: Outcomes | None
    ) -> None:
        if answers.cut is not None:
            self._notes.append(
                f"Topic {topic} holds more: the newest messages were read, at most --count"
                f" {self._settings.count or MOST_MESSAGES:,}, which are the records scored since"
                f" {spell_moment(answers.cut)}."
            )
        for name, count in sorted(self._reader.unreadable.items()):
            self._notes.append(
                f"Topic {name} holds {count:,} messages that are no predictions of the contract"
                f" {self._contract.name}."
            )
        if outcomes is not None:
            self._notes.append(
                f"{outcomes.read:,} outcomes were read; {outcomes.left_out:,} of them lack"
                f" {', '.join(outcomes.names[:-1])} or {outcomes.names[-1]}, and do not count."
            )


def _resolve(name: str, store: Path) -> str:
    """Return the version that is named, as predictions name it."""
    if ModelReference.parse(name).path is not None:
        return name  # with its backend, as NAME@3/onnx
    _, model, version = name_stored(store, name)
    return f"{model}@{version}"


def _list(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names)) or "none"
