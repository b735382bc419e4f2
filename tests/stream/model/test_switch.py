"""The switch decides which version scores which batch; its notes are kept in memory here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from lib.errors import ModelChangedError, ModelNotFoundError, ResumeRefusedError
from lib.stream.model.serving import ModelKey
from lib.stream.model.switch import ModelSwitch


@dataclass
class Notes:
    """The notes of a checkpoint, and the batches of Spark's logs."""

    begun: int | None = None
    finished: int | None = None
    texts: dict[int, str] = field(default_factory=dict)

    def find_next(self) -> tuple[int, bool]:
        if self.begun is None:
            return 0, False
        return (self.begun + 1, False) if self.finished == self.begun else (self.begun, True)

    def find(self, batch_id: int) -> str | None:
        known = [number for number in self.texts if number <= batch_id]
        return self.texts[max(known)] if known else None

    def note(self, batch_id: int, maker: str) -> None:
        self.texts[batch_id] = maker

    @staticmethod
    def name_note(batch_id: int) -> str:
        return f"makers/{batch_id}"

    @property
    def models(self) -> dict[int, str]:
        return {batch: str(ModelKey.from_text(text)) for batch, text in self.texts.items()}


@dataclass
class Version:
    """A loaded version, as far as the switch needs it."""

    key: ModelKey
    scores_in_workers: bool = True
    told: Counter[bool] = field(default_factory=Counter)

    @property
    def failures(self) -> Version:
        return self

    def tell(self, *, is_last: bool) -> None:
        self.told[is_last] += 1

    @property
    def making(self) -> str:
        return str(self.key)


def version(number: int, *, in_workers: bool = True) -> Any:
    backend = "onnx" if in_workers else "sql"
    return Version(ModelKey(f"m@{number}", backend), in_workers)


class Job:
    """One run of a job on some notes."""

    def __init__(self, notes: Notes, start: Any, *, asks: bool = True, lost: bool = False) -> None:
        self.notes = notes
        self.changes: list[str] = []
        self.lost = lost
        self.switch = ModelSwitch(
            notes,  # type: ignore[arg-type]  # the notes of a checkpoint need a JVM
            start,
            self._load,
            lambda serving: self.changes.append(str(serving.key)),
            asks=asks,
        )

    def _load(self, key: ModelKey) -> Any:
        if self.lost:
            raise ModelNotFoundError(f"{key.model}: no such version")
        return Version(key, key.backend == "onnx")

    def begin(self) -> str:
        return str(self.switch.begin().key)

    def score(self, batch: int, *, finish: bool = True) -> str:
        """Let the query run a batch, as Spark does."""
        self.notes.begun = batch
        made: Any = self.switch.choose(batch)
        if finish:
            self.notes.finished = batch
        return str(made)

    def repeats(self) -> bool:
        return self.switch.is_repeating

    def ends(self, finished: int = -1) -> bool:
        return self.switch.has_to_end(lambda: finished)


def test_the_version_of_the_start_scores_until_another_one_is_offered() -> None:
    job = Job(Notes(), version(1))

    assert job.begin() == "m@1/onnx"
    assert [job.score(0), job.score(1)] == ["m@1/onnx", "m@1/onnx"]
    job.switch.offer(version(2))
    assert [job.score(2), job.score(3)] == ["m@2/onnx", "m@2/onnx"]
    assert job.notes.models == {0: "m@1/onnx", 2: "m@2/onnx"}
    assert job.changes == ["m@2/onnx"]
    assert not job.ends()


def test_a_batch_that_fails_is_repeated_by_the_version_that_began_it() -> None:
    job = Job(Notes(), version(1))
    job.begin()
    job.score(0)
    job.score(1, finish=False)
    job.switch.offer(version(2))

    assert job.begin() == "m@1/onnx"
    assert job.score(1) == "m@1/onnx"
    assert job.score(2) == "m@2/onnx"
    assert job.notes.models == {0: "m@1/onnx", 2: "m@2/onnx"}


def test_the_next_run_lets_the_old_version_finish_its_batch() -> None:
    notes = Notes()
    first = Job(notes, version(1))
    first.begin()
    first.score(0)
    first.score(1, finish=False)
    second = Job(notes, version(2))

    assert second.begin() == "m@1/onnx"
    assert [second.score(1), second.score(2)] == ["m@1/onnx", "m@2/onnx"]
    assert notes.models == {0: "m@1/onnx", 2: "m@2/onnx"}
    assert second.changes == ["m@1/onnx", "m@2/onnx"]


def test_a_run_that_dies_after_its_change_is_followed_by_one_of_the_new_version() -> None:
    notes = Notes()
    first = Job(notes, version(1))
    first.begin()
    first.score(0)
    first.switch.offer(version(2))
    first.score(1, finish=False)
    # The champion was rolled back in between.
    second = Job(notes, version(1))

    assert second.begin() == "m@2/onnx"
    assert [second.score(1), second.score(2)] == ["m@2/onnx", "m@1/onnx"]
    assert notes.models == {0: "m@1/onnx", 1: "m@2/onnx", 2: "m@1/onnx"}


def test_a_finished_batch_binds_nobody() -> None:
    notes = Notes(begun=4, finished=4, texts={0: version(1).key.to_text()})
    job = Job(notes, version(2), lost=True)

    assert job.begin() == "m@2/onnx"
    assert notes.models == {0: "m@1/onnx", 5: "m@2/onnx"}


def test_a_checkpoint_of_an_older_release_has_no_notes_and_the_present_version_goes_on() -> None:
    notes = Notes(begun=4, finished=3)
    job = Job(notes, version(2), lost=True)

    assert job.begin() == "m@2/onnx"
    assert job.score(4) == "m@2/onnx"
    assert notes.models == {4: "m@2/onnx"}


def test_a_version_that_is_gone_refuses_the_start_and_says_what_to_do() -> None:
    notes = Notes(begun=4, finished=3, texts={2: version(1).key.to_text()})
    job = Job(notes, version(2), lost=True)

    with pytest.raises(ResumeRefusedError) as caught:
        job.begin()

    assert caught.value.message == (
        "batch 4 was begun with another model, which has to score it again: m@1: no such version"
    )
    assert caught.value.hint == (
        "put that model back; or remove the notes up to makers/4 in the checkpoint, and m@2/onnx"
        " scores the batch, which may be visible in part"
    )


def test_a_damaged_note_refuses_the_start() -> None:
    job = Job(Notes(begun=4, finished=3, texts={2: '"m@1"'}), version(2))

    with pytest.raises(ResumeRefusedError, match="""found '"m@1"', expected the name of a model"""):
        job.begin()


def test_taking_the_champion_back_before_a_batch_comes_changes_nothing() -> None:
    job = Job(Notes(), version(1))
    job.begin()
    job.score(0)
    job.switch.offer(version(2))
    job.switch.offer(version(1))

    assert job.score(1) == "m@1/onnx"
    assert job.notes.models == {0: "m@1/onnx"}


def test_of_two_versions_between_two_batches_the_last_one_scores() -> None:
    job = Job(Notes(), version(1))
    job.begin()
    job.score(0)
    job.switch.offer(version(2))
    job.switch.offer(version(3))

    assert job.score(1) == "m@3/onnx"


@pytest.mark.parametrize(
    ("old", "new"), [(False, False), (False, True), (True, False)], ids=["both", "old", "new"]
)
def test_a_model_in_the_jvm_changes_by_a_new_start_of_the_query(old: bool, new: bool) -> None:
    job = Job(Notes(), version(1, in_workers=old))
    after = version(2, in_workers=new)
    job.begin()
    job.score(0)
    job.switch.offer(after)
    assert not job.ends()

    with pytest.raises(ModelChangedError) as caught:
        job.score(1)

    assert caught.value.message == f"{after.key} scores from batch 1 on: the query starts again"
    assert job.ends()
    assert job.changes == []
    assert job.begin() == str(after.key)
    assert not job.ends()
    assert job.score(1) == str(after.key)
    assert job.notes.models == {0: str(version(1, in_workers=old).key), 1: str(after.key)}


def test_a_third_version_waits_until_the_batch_that_was_promised_is_scored() -> None:
    job = Job(Notes(), version(1, in_workers=False))
    job.begin()
    job.score(0)
    job.switch.offer(version(2, in_workers=False))
    with pytest.raises(ModelChangedError):
        job.score(1)
    job.switch.offer(version(3, in_workers=False))

    assert job.begin() == "m@2/sql"
    assert job.score(1) == "m@2/sql"
    with pytest.raises(ModelChangedError):
        job.score(2)
    assert job.begin() == "m@3/sql"


def test_a_query_that_does_not_ask_ends_when_a_version_is_offered() -> None:
    notes = Notes()
    job = Job(notes, version(1), asks=False)
    job.begin()
    notes.begun = notes.finished = 0
    assert not job.ends(0)
    job.switch.offer(version(2))
    assert job.ends(0)

    assert job.begin() == "m@2/onnx"
    assert not job.repeats()
    assert not job.ends(0)
    assert notes.models == {0: "m@1/onnx", 1: "m@2/onnx"}


def test_a_query_that_does_not_ask_repeats_one_batch_before_it_changes() -> None:
    notes = Notes()
    job = Job(notes, version(1), asks=False)
    job.begin()
    notes.begun, notes.finished = 1, 0
    job.switch.offer(version(2))

    assert job.begin() == "m@1/onnx"
    assert job.repeats()
    assert not job.ends(-1)
    assert job.ends(1)
    notes.finished = 1
    assert job.begin() == "m@2/onnx"
    assert not job.repeats()
    assert notes.models == {0: "m@1/onnx", 2: "m@2/onnx"}


def test_the_failures_of_a_version_are_told_when_another_one_takes_its_place() -> None:
    first = version(1)
    job = Job(Notes(), first)
    job.begin()
    job.switch.offer(version(2))
    job.score(0)

    assert first.told == {True: 1}


def test_a_run_that_gives_up_leaves_its_batch_to_any_version() -> None:
    notes = Notes()
    first = Job(notes, version(1))
    first.begin()
    first.score(0)
    first.score(1, finish=False)
    first.switch.release()
    second = Job(notes, version(2), lost=True)

    assert second.begin() == "m@2/onnx"
    assert second.score(1) == "m@2/onnx"
    assert str(ModelKey.from_text(notes.texts[1])) == "m@2/onnx"


def test_a_run_that_gives_up_between_two_batches_leaves_no_note() -> None:
    notes = Notes()
    job = Job(notes, version(1))
    job.begin()
    job.score(0)
    job.switch.release()

    assert notes.models == {0: "m@1/onnx"}


def test_a_batch_in_which_two_runs_have_died_is_left_to_any_version() -> None:
    notes = Notes(begun=4, finished=3, texts={2: version(1).key.to_text()})
    job = Job(notes, version(2), lost=True)

    assert str(job.switch.begin(is_free=True).key) == "m@2/onnx"
    assert notes.models == {2: "m@1/onnx", 4: "m@2/onnx"}
