"""All backends do these things alike, so each test runs on all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import pytest

from lib.errors import ModelError, ModelMismatchError
from lib.inference_backend import ModelBackend, SklearnBackend, load_model, predict
from lib.score.features import FeaturesValueError
from tests.score.conftest import THRESHOLD
from tests.score.models import build_customers
from tests.support.same_answers import (
    FEATURES,
    NEEDED,
    REFUSED,
    TAKEN,
    drop_feature,
)
from tests.support.telco import CUSTOMER

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lib.store import ModelVersion

CUSTOMERS = build_customers(20, seed=3)


def score(backend: ModelBackend, features: Any) -> list[float]:
    return list(predict(backend, features)[1])


def test_predictions_are_labels_and_probabilities_floats(backend: ModelBackend) -> None:
    predictions, probabilities = predict(backend, CUSTOMERS)
    assert len(predictions) == len(probabilities) == 20
    assert {type(probability) for probability in probabilities} == {float}
    assert json.loads(json.dumps([predictions, probabilities])) == [predictions, probabilities]
    assert all(0 < probability < 1 for probability in probabilities)
    assert {type(label) for label in predictions} == {str}
    assert list(predictions) == ["Yes" if p >= 0.5 else "No" for p in probabilities]
    assert set(predictions) == {"Yes", "No"}


def test_record_records_and_frame_score_alike(backend: ModelBackend) -> None:
    records = CUSTOMERS.to_dict("records")
    expected = score(backend, CUSTOMERS)
    assert score(backend, records) == pytest.approx(expected, abs=1e-12)
    assert score(backend, records[0]) == pytest.approx(expected[:1], abs=1e-12)


def test_order_and_extra_columns_do_not_matter(backend: ModelBackend) -> None:
    shuffled = CUSTOMERS[list(reversed(CUSTOMERS.columns))]
    shuffled.insert(3, "customerID", "0000-AAAAA")
    assert score(backend, shuffled) == pytest.approx(score(backend, CUSTOMERS), abs=1e-12)


def test_index_of_the_frame_does_not_matter(backend: ModelBackend) -> None:
    odd = CUSTOMERS.set_axis([f"row {n % 3}" for n in range(20)])
    assert score(backend, odd) == score(backend, CUSTOMERS)


def test_pandas_categories_score_like_strings(backend: ModelBackend) -> None:
    typed = CUSTOMERS.astype({"gender": "category", "Contract": "category"})
    assert score(backend, typed) == pytest.approx(score(backend, CUSTOMERS), abs=1e-12)


@pytest.mark.parametrize(
    ("text", "number"), [("600.0", 600.0), (" 600 ", 600.0), ("", 0.0), (" ", 0.0)]
)
def test_total_charges_may_be_text_or_blank(
    backend: ModelBackend, text: str, number: float
) -> None:
    record = CUSTOMERS.to_dict("records")[0]
    expected = score(backend, {**record, "TotalCharges": number})
    assert score(backend, {**record, "TotalCharges": text}) == pytest.approx(expected, abs=1e-12)


def test_text_and_numbers_may_mix_in_a_batch(backend: ModelBackend) -> None:
    records: list[Any] = CUSTOMERS.to_dict("records")[:3]
    mixed = [{**r, "TotalCharges": v} for r, v in zip(records, ["600.0", " ", 5.5], strict=True)]
    plain = [{**r, "TotalCharges": v} for r, v in zip(records, [600.0, 0.0, 5.5], strict=True)]
    assert score(backend, mixed) == pytest.approx(score(backend, plain), abs=1e-12)


@pytest.mark.parametrize("value", ["a lot", None, float("nan")])
def test_number_that_is_none_is_never_labelled(backend: ModelBackend, value: object) -> None:
    records: list[Any] = CUSTOMERS.to_dict("records")[:2]
    with pytest.raises(Exception, match=r".+"):
        predict(backend, [records[0], {**records[1], "TotalCharges": value}])


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        *(
            ("TotalCharges", text, "text that is no such number")
            for text in ("1_000", "\u00a0", "\u0661\u0662", "inf", "12d")
        ),
        ("TotalCharges", "1e999", "infinity"),
        ("tenure", float("inf"), "infinity"),
        ("tenure", "12", "text that is no such number"),
        ("tenure", True, "a bool"),
        ("Contract", 1, "a int"),
    ],
)
def test_what_the_stream_cannot_read_is_refused(
    backend: ModelBackend, name: str, value: object, found: str
) -> None:
    (record,) = cast("list[dict[str, Any]]", CUSTOMERS[:1].to_dict("records"))
    for features in ([record, {**record, name: value}], {**record, name: value}):
        with pytest.raises(FeaturesValueError, match=f"{name} in row .: found {found}, expected"):
            predict(backend, features)


def test_unseen_category_is_scored(backend: ModelBackend) -> None:
    (probability,) = score(backend, {**CUSTOMERS.to_dict("records")[0], "Contract": "Ten years"})
    assert 0 < probability < 1


def test_missing_column_is_an_error_that_names_it(backend: ModelBackend) -> None:
    with pytest.raises((ValueError, ModelMismatchError), match="Contract"):
        predict(backend, CUSTOMERS.drop(columns="Contract"))


@pytest.mark.parametrize("nothing", [[], {}, [{}], pd.DataFrame(), CUSTOMERS[:0]])
def test_no_rows_are_refused(backend: ModelBackend, nothing: Any) -> None:
    with pytest.raises(ValueError, match=r"^Features DataFrame is empty$"):
        predict(backend, nothing)


def test_model_outside_a_store_goes_by_its_stem(backend: ModelBackend) -> None:
    assert backend.scored_by == f"churn_lr/{backend.backend_type}"
    assert backend.threshold == 0.5
    assert backend.version is None


def test_model_set_by_hand_replaces_everything_about_the_loaded_one(backend: ModelBackend) -> None:
    model = backend.model
    backend.threshold = 0.1
    backend.model = model
    assert backend.threshold == 0.5
    assert backend.scored_by == f"{type(model).__name__}/{backend.backend_type}"
    assert len(score(backend, CUSTOMERS)) == 20


@pytest.mark.parametrize("name", ["sklearn", "spark"])
def test_stored_version_brings_its_threshold_and_name(
    spark: SparkSession, version: ModelVersion, name: str
) -> None:
    by_reference = f"{version.path.parent.parent}/churn@champion"
    for path in (version.path, by_reference, f"{version.path.parent.parent}/churn@1"):
        backend = load_model(name, path, spark_session=spark)
        assert (backend.scored_by, backend.threshold) == (f"churn@1/{name}", THRESHOLD)
        assert backend.version == version
        predictions, probabilities = predict(backend, CUSTOMERS)
        assert list(predictions) == ["Yes" if p >= THRESHOLD else "No" for p in probabilities]


# ------------------------------------------------------------------ with_probability, on Spark


@pytest.fixture
def frame(spark: SparkSession) -> DataFrame:
    """Make a frame of twenty customers among other columns, some with names that need quotes."""
    others = CUSTOMERS.copy()
    others["source.offset"] = range(20)
    others["odd name"] = "x"
    front = ["source.offset", *reversed(CUSTOMERS.columns), "odd name"]
    return spark.createDataFrame(others[front]).repartition(3)


def test_probability_is_appended_and_all_else_kept(backend: ModelBackend, frame: DataFrame) -> None:
    from chispa import assert_df_equality

    scored = backend.with_probability(frame)
    assert scored.columns == [*frame.columns, "probability"]
    assert scored.schema["probability"].dataType.simpleString() == "double"
    plain = [f"column_{n}" for n in range(len(frame.columns))]  # chispa does not quote names
    kept = scored.drop("probability").toDF(*plain)
    assert_df_equality(kept, frame.toDF(*plain), ignore_row_order=True)


def test_frame_and_predict_give_the_same_probabilities(
    backend: ModelBackend, frame: DataFrame
) -> None:
    rows = backend.with_probability(frame).select("`source.offset`", "probability").collect()
    by_offset = [probability for _, probability in sorted(rows)]
    assert by_offset == pytest.approx(score(backend, CUSTOMERS), abs=1e-9)


def test_empty_frame_gives_an_empty_frame(backend: ModelBackend, frame: DataFrame) -> None:
    assert backend.with_probability(frame.limit(0)).collect() == []
    assert backend.with_probability(frame.where("false")).collect() == []


def test_unseen_category_is_scored_in_a_frame(backend: ModelBackend, frame: DataFrame) -> None:
    from pyspark.sql import functions as F

    odd = backend.with_probability(frame.withColumn("Contract", F.lit("Ten years")))
    assert odd.where("probability > 0 and probability < 1").count() == 20


def test_frame_without_a_needed_column_is_refused_when_the_plan_is_built(
    backend: ModelBackend, frame: DataFrame
) -> None:
    with pytest.raises(ModelMismatchError, match=r"churn_lr.*Contract"):
        backend.with_probability(frame.drop("Contract"))


def test_building_the_plan_starts_no_job(backend: ModelBackend, frame: DataFrame) -> None:
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    lazy = backend.with_probability(
        frame.withColumn("MonthlyCharges", F.raise_error(F.lit("ran")).cast("double"))
    )
    with pytest.raises(PySparkException, match="ran"):
        lazy.collect()


def test_frame_that_has_a_probability_already_is_refused(
    backend: ModelBackend, frame: DataFrame
) -> None:
    with pytest.raises(ValueError, match="has a column 'probability' already"):
        backend.with_probability(frame.withColumnRenamed("odd name", "Probability"))


def test_streaming_frame_is_scored_like_a_batch(
    backend: ModelBackend, frame: DataFrame, spark: SparkSession, tmp_path: Path
) -> None:
    features = frame.drop("odd name").withColumnRenamed("source.offset", "offset")
    features.write.parquet(str(tmp_path / "in"))
    stream = spark.readStream.schema(features.schema).parquet(str(tmp_path / "in"))
    query = (
        backend.with_probability(stream)
        .writeStream.format("memory")
        .queryName(f"scored_{backend.backend_type}")
        .trigger(availableNow=True)
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .start()
    )
    query.processAllAvailable()
    query.stop()
    rows = spark.table(f"scored_{backend.backend_type}").select("offset", "probability").collect()
    assert [p for _, p in sorted(rows)] == pytest.approx(score(backend, CUSTOMERS), abs=1e-9)


def test_batch_with_an_unscored_row_is_refused_as_a_whole(sklearn_pipeline: Any) -> None:
    class Undecided:
        """A model that cannot judge customers in their first month."""

        def predict_proba(self, features: pd.DataFrame) -> Any:
            probabilities = sklearn_pipeline.predict_proba(features)
            probabilities[features["tenure"].to_numpy() == 1] = np.nan
            return probabilities

    backend = SklearnBackend("by-hand")
    backend.model = Undecided()
    with pytest.raises(ModelError, match="for 1 of 2 rows, the first at position 1"):
        predict(backend, [{**CUSTOMER.stand_ins, "tenure": n} for n in (2, 1)])


# ------------------------------------------------------------------ values that are often misread


def test_values_that_are_read_in_one_way_are_scored_alike(backend: ModelBackend) -> None:
    values = [case.features for case in TAKEN]
    alike = [case.features_alike for case in TAKEN]

    expected = score(backend, alike)

    assert score(backend, values) == pytest.approx(expected, abs=1e-12)
    assert score(backend, pd.DataFrame(values)) == pytest.approx(expected, abs=1e-12)
    if not backend.is_native:  # these take a job of Spark each
        alone = [score(backend, features)[0] for features in values]
        assert alone == pytest.approx(expected, abs=1e-6)


def test_values_that_no_face_takes_are_refused(backend: ModelBackend) -> None:
    for case in REFUSED:
        one = pd.DataFrame([case.features], dtype=object)
        for features in (case.features, [FEATURES, case.features], one):
            words = f"{case.field} in row .: found {case.answer.found}, expected "
            with pytest.raises(FeaturesValueError, match=words):
                predict(backend, features)


def test_records_without_a_field_are_refused(backend: ModelBackend) -> None:
    for field in NEEDED:
        without = drop_feature(field)
        for features in (without, [without, without], pd.DataFrame([without])):
            with pytest.raises(ModelMismatchError, match=field):
                predict(backend, features)
        with pytest.raises(FeaturesValueError, match=f"{field} in row 1: found nothing, expected "):
            predict(backend, [FEATURES, without])
