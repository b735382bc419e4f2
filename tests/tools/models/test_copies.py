"""Versions are saved again with another threshold, and leave the store as archives."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.models import manage_models
from lib.errors import ModelCorruptError, SettingsError
from lib.settings.jobs.models import ModelsSettings
from lib.settings.load import load_settings
from lib.store import ModelStore, ModelVersion
from lib.tools.models.archive import Archive
from lib.training.report.document import Paragraph, write_html, write_markdown
from tests.support.stored_models import save_version

Run = Callable[..., str]


@pytest.fixture
def run(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command and returns what it prints."""

    def call(*arguments: str) -> str:
        settings = load_settings(ModelsSettings, ["--store", str(store.root), *arguments], {})
        assert manage_models(settings) == 0
        return capsys.readouterr().out

    return call


def test_a_threshold_is_changed_by_a_version_that_says_from_which_it_comes(
    run: Run, store: ModelStore, version: ModelVersion
) -> None:
    store.promote("churn", 1)

    assert run("set-threshold", "churn@champion", "--threshold", "0.35") == (
        "saved churn@2: as churn@1, with threshold 0.35 for 0.5\n"
    )

    new = store.resolve("churn@2")
    new.verify()
    assert store.read_champion("churn") == 1
    assert new.metadata.threshold == 0.35
    assert new.metadata.origin == {
        "command": "set-threshold",
        "from": "churn@1",
        "threshold_before": 0.5,
    }
    assert new.metadata.artefacts == version.metadata.artefacts
    assert new.metadata.libraries == version.metadata.libraries
    assert (new.path / "pipeline.joblib").samefile(version.path / "pipeline.joblib")
    assert '"from": "churn@1"' in run("show", "churn@2")


def test_both_versions_outlive_each_other(run: Run, store: ModelStore) -> None:
    def write(folder: Path) -> None:
        (folder / "pipeline.joblib").write_bytes(b"x")

    save_version(store, write)
    run("set-threshold", "churn@1", "--threshold", "0.1")
    run("set-threshold", "churn@2", "--threshold", "0.2")
    store.delete("churn", 1)
    store.delete("churn", 2)

    assert store.resolve("churn@3").metadata.threshold == 0.2
    store.resolve("churn@3").verify()


def test_the_report_of_the_copy_says_that_its_threshold_is_another(
    run: Run, store: ModelStore
) -> None:
    paragraph = [Paragraph("From 0.30 on.")]
    pages = {
        "report.html": write_html("Model churn", paragraph),
        "report.md": write_markdown("Model churn", paragraph),
    }

    def write(folder: Path) -> None:
        (folder / "pipeline.joblib").write_bytes(b"x")
        for name, page in pages.items():
            (folder / name).write_text(page)

    save_version(store, write)
    run("set-threshold", "churn@1", "--threshold", "0.1")

    old, new = store.resolve("churn@1"), store.resolve("churn@2")
    old.verify()
    new.verify()
    note = (
        "This is a copy of churn@1 with the threshold 0.1 instead of 0.5. The report is that of"
        " churn@1: its threshold, recall, precision and predicted labels are not those of this"
        " version."
    )
    assert (new.path / "report.md").read_text() == (
        f"# Model churn\n\n**{note}**\n\nFrom 0.30 on.\n"
    )
    assert (
        f"<h1>Model churn</h1>\n<p><strong>{note}</strong></p>\n<p>From 0.30 on.</p>"
        in (new.path / "report.html").read_text()
    )
    assert (old.path / "report.md").read_text() == pages["report.md"]
    assert (new.path / "pipeline.joblib").samefile(old.path / "pipeline.joblib")


def test_a_damaged_version_gets_no_other_threshold(
    run: Run, store: ModelStore, version: ModelVersion
) -> None:
    (version.path / "pipeline.joblib").write_bytes(b"changed")
    with pytest.raises(ModelCorruptError, match=r"pipeline\.joblib: found sha256"):
        run("set-threshold", "churn@1", "--threshold", "0.1")
    assert store.versions("churn") == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set-threshold", "churn@1"], "set-threshold needs --threshold"),
        (["set-threshold", "churn@1", "--threshold", "1.5"], "--threshold: .* less than or equal"),
        (["set-threshold", "churn@1", "--threshold", "-1"], "--threshold: .* greater than or"),
    ],
)
def test_a_threshold_is_a_probability(run: Run, arguments: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        run(*arguments)


def test_an_archive_holds_the_version_and_nothing_else(
    run: Run, version: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (version.path / ".DS_Store").write_bytes(b"\0")

    assert run("export", "churn@1") == "wrote churn-1.tar.gz: churn@1, 2 files\n"

    with tarfile.open("churn-1.tar.gz") as archive:
        assert archive.getnames() == [
            "churn/1/metadata.json",
            "churn/1/contract.toml",
            "churn/1/pipeline.joblib",
        ]
    first = Path("churn-1.tar.gz").read_bytes()
    with pytest.raises(SettingsError, match=r"--output churn-1\.tar\.gz: exists"):
        run("export", "churn@1")
    run("export", "churn@1", "--overwrite")
    assert Path("churn-1.tar.gz").read_bytes() == first
    assert Archive(Path("churn-1.tar.gz")).metadata == version.metadata
    assert sorted(path.name for path in tmp_path.iterdir()) == ["churn-1.tar.gz", "models"]


def test_a_damaged_version_is_not_exported(run: Run, version: ModelVersion, tmp_path: Path) -> None:
    (version.path / "contract.toml").write_text("")
    with pytest.raises(ModelCorruptError, match=r"contract\.toml: found sha256"):
        run("export", "churn@1", "--output", str(tmp_path / "x.tar.gz"))
    assert not (tmp_path / "x.tar.gz").exists()
