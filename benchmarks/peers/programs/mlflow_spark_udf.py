"""Score with MLflow's ``spark_udf`` in a Structured Streaming query, at least once."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import mlflow
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.telco import CUSTOMER, EVENT_TIME

BATCH_RECORDS = 100_000


def main() -> None:
    """Save the model as MLflow's, and start the query."""
    servers, source, sink, _, model, threshold, folder, jars = sys.argv[1:]
    saved = Path(folder, "model")
    mlflow.sklearn.save_model(
        joblib.load(model), saved, pyfunc_predict_fn="predict_proba", serialization_format="pickle"
    )
    spark = (
        SparkSession.builder.config("spark.jars", jars)
        .config("spark.driver.memory", "2g")
        .config("spark.sql.shuffle.partitions", "4")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    predict = mlflow.pyfunc.spark_udf(
        spark, saved.as_uri(), result_type="array<double>", env_manager="local"
    )
    kafka = {"kafka.bootstrap.servers": servers}
    records = (
        spark.readStream.format("kafka")
        .options(**kafka, subscribe=source, startingOffsets="earliest")
        .option("maxOffsetsPerTrigger", BATCH_RECORDS)
        .load()
    )
    fields = {
        field.name: "double" if field.is_numeric and not field.numeric_text else "string"
        for field in CUSTOMER.checked
    }
    schema = ", ".join(f"`{name}` {kind}" for name, kind in fields.items())
    rows = records.select("key", F.from_json(F.col("value").cast("string"), schema).alias("it"))
    rows = rows.select("key", "it.*")
    for field in CUSTOMER.numeric:
        if field.blank is not None:
            number = F.col(field.name).try_cast("double")
            rows = rows.withColumn(field.name, F.coalesce(number, F.lit(float(field.blank))))
    features = F.struct(*CUSTOMER.feature_names)
    scored = rows.withColumn("probability", predict(features)[1])
    prediction = F.struct(
        F.col(CUSTOMER.identifier.name).alias("customerID"),
        F.round("probability", 6).cast("decimal(7,6)").alias("churn_probability"),
        F.when(F.col("probability") >= float(threshold), "Yes").otherwise("No").alias("prediction"),
        F.col(EVENT_TIME).alias("event_ts"),
        F.date_format(F.current_timestamp(), "yyyy-MM-dd'T'HH:mm:ss.SSSX").alias("processed_ts"),
        F.lit("mlflow-spark-udf").alias("model_version"),
    )
    query = (
        scored.select("key", F.to_json(prediction).alias("value"))
        .writeStream.format("kafka")
        .options(**kafka, topic=sink, checkpointLocation=str(Path(folder, "checkpoint")))
        .start()
    )
    query.awaitTermination()


if __name__ == "__main__":
    main()
