from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lib.errors import ModelCorruptError, ModelMismatchError
from lib.store.compatibility import check_contract, check_library, installed_libraries
from lib.store.metadata import ModelMetadata, is_version_metadata
from tests.support.telco import CUSTOMER

METADATA = ModelMetadata(
    name="churn",
    version=3,
    created="2025-01-02T03:04:05Z",
    metrics={"sklearn": {"roc_auc": {"mean": 0.85, "std": 0.01}}},
    threshold=0.32,
    contract_fingerprint=CUSTOMER.fingerprint,
    libraries={"scikit-learn": "1.9.1", "pyspark": "4.2.0"},
    artefacts={"pipeline.joblib": "0" * 64, "spark_model/metadata/part-0": "a" * 64},
    training={"rows": 7043, "source": "synthetic", "seed": 7},
)


def test_metadata_survives_json() -> None:
    assert ModelMetadata.from_json(METADATA.to_json()) == METADATA


def test_what_was_not_recorded_is_not_written_and_older_files_are_read() -> None:
    assert not {"positive_class", "columns"} & json.loads(METADATA.to_json()).keys()
    told = replace(METADATA, positive_class="Churned", columns=["tenure", "MonthlyCharges"])
    written = json.loads(told.to_json())
    assert written["positive_class"] == "Churned"
    assert written["columns"] == ["tenure", "MonthlyCharges"]
    assert ModelMetadata.from_json(told.to_json()) == told


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"positive_class": 1}, "positive_class"),
        ({"columns": []}, "columns"),
        ({"columns": "tenure"}, "columns"),
        ({"columns": [1]}, "columns"),
        ({"name": "../churn"}, "name"),
        ({"name": 3}, "name"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"version": "3"}, "version"),
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": None}, "threshold"),
        ({"metrics": {"sklearn": {"roc_auc": 0.85}}}, "metrics"),
        ({"libraries": {"pyspark": 4}}, "libraries"),
        ({"artefacts": {}}, "artefacts"),
        ({"artefacts": {"../outside": "0" * 64}}, "artefacts"),
        ({"artefacts": {"/etc/passwd": "0" * 64}}, "artefacts"),
        ({"artefacts": {"a//b": "0" * 64}}, "artefacts"),
        ({"artefacts": {"pipeline.joblib": "short"}}, "artefacts"),
        ({"training": []}, "training"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_damaged_metadata_is_refused_by_the_name_of_its_field(
    change: dict[str, Any], named: str
) -> None:
    text = json.dumps({**json.loads(METADATA.to_json()), **change})
    with pytest.raises(ModelCorruptError, match=rf"here\.json: .*{named}"):
        ModelMetadata.from_json(text, place="here.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"name": "churn"}'])
def test_text_that_is_no_metadata_is_refused(text: str) -> None:
    with pytest.raises(ModelCorruptError):
        ModelMetadata.from_json(text)


def test_metadata_of_other_tools_is_told_apart() -> None:
    assert is_version_metadata(METADATA.to_json())
    assert is_version_metadata(METADATA.to_json()[:100])
    assert not is_version_metadata('{"framework": "other", "metrics": {}}')


@pytest.mark.parametrize("installed", ["1.9.0", "1.9.1", "1.9.7.dev0"])
def test_patch_releases_of_a_library_are_taken(installed: str) -> None:
    check_library(METADATA, "scikit-learn", installed=installed)


@pytest.mark.parametrize("installed", ["1.8.9", "1.10.0", "2.9.1"])
def test_another_minor_version_of_a_library_is_refused(installed: str) -> None:
    expected = rf"churn@3: found scikit-learn {installed} installed, expected 1\.9\.x"
    with pytest.raises(ModelMismatchError, match=expected):
        check_library(METADATA, "scikit-learn", installed=installed)


def test_library_that_the_metadata_does_not_name_is_not_checked() -> None:
    check_library(METADATA, "numpy", installed="1.0")


def test_installed_libraries_are_named_by_distribution() -> None:
    assert {"scikit-learn", "pyspark", "joblib"} <= installed_libraries().keys()


def test_another_contract_is_refused_by_both_fingerprints() -> None:
    check_contract(METADATA, CUSTOMER)
    other = ModelMetadata(**{**vars(METADATA), "contract_fingerprint": "f" * 64})
    expected = rf"found contract fingerprint {'f' * 64}, expected {CUSTOMER.fingerprint}.*train"
    with pytest.raises(ModelMismatchError, match=expected):
        check_contract(other, CUSTOMER)
