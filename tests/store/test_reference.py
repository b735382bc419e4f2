from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import SettingsError
from lib.store.reference import ModelReference, is_name

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}(\.[A-Za-z0-9_-]{1,5})?", fullmatch=True)
VERSIONS = st.none() | st.integers(min_value=1, max_value=999_999_999)
FOLDERS = st.sampled_from(["models", "/srv/models", ".", "..", "/", "a b/c@d"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("churn@champion", ModelReference(name="churn")),
        ("churn@3", ModelReference(name="churn", version=3)),
        ("churn-v2.1@12", ModelReference(name="churn-v2.1", version=12)),
        ("models/churn@3", ModelReference(name="churn", version=3, store=Path("models"))),
        ("/srv/churn@champion", ModelReference(name="churn", store=Path("/srv"))),
        ("models/churn/3", ModelReference(path=Path("models/churn/3"))),
        ("pipeline.joblib", ModelReference(path=Path("pipeline.joblib"))),
        ("pipeline@prod.joblib", ModelReference(path=Path("pipeline@prod.joblib"))),
        ("models/churn@3/", ModelReference(path=Path("models/churn@3"))),
        ("models/..@3", ModelReference(path=Path("models/..@3"))),
    ],
)
def test_reference_is_a_name_with_version_or_a_path(text: str, expected: ModelReference) -> None:
    assert ModelReference.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "churn@", "@3", "churn@0", "churn@-1", "churn@03", "churn@1.0", "churn@latest"),
        *("..@3", "a..b@3", ".hidden@3", "a b@3", "churn@1\n", "churn@1234567890", "a@b@3"),
        *("x\0y", "x" * 65 + "@1"),
    ],
)
def test_text_that_only_resembles_a_reference_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="model reference"):
        ModelReference.parse(text)


def test_path_objects_are_taken() -> None:
    assert ModelReference.parse(Path("models/churn/3")).path == Path("models/churn/3")


@given(name=NAMES, version=VERSIONS, store=st.none() | FOLDERS.map(Path))
def test_printed_reference_parses_to_itself(
    name: str, version: int | None, store: Path | None
) -> None:
    reference = ModelReference(name=name, version=version, store=store)
    assert ModelReference.parse(str(reference)) == reference


@given(text=st.text(alphabet="ab@./3-\\ champion", min_size=1, max_size=24))
def test_any_text_is_a_stable_reference_or_refused(text: str) -> None:
    try:
        reference = ModelReference.parse(text)
    except SettingsError:
        return
    assert ModelReference.parse(str(reference)) == reference
    assert (reference.path is None) == bool(reference.name)


@given(name=st.text(max_size=20), number=st.integers(1, 99))
def test_name_of_a_reference_is_a_single_folder_name(name: str, number: int) -> None:
    try:
        reference = ModelReference.parse(f"{name}@{number}")
    except SettingsError:
        return
    if reference.name:
        assert is_name(reference.name)
        assert Path("store", reference.name).resolve().parent == Path("store").resolve()
