"""Records a class-data archive for Spark's JVM, which shortens the start of a job by a third.

Most of a Spark start is the JVM reading, checking and linking some 20,000 classes. HotSpot can keep
the result in a file (200 MB) and map it into memory: application class-data sharing, JEP 350.
Measured on 2 busy cores, a job that counts ten rows takes 9.4 s without, 6.5 s with it, and 4.5 s
when the JVM also does without its optimising compiler (as in the tests; a long-running job would
pay for that).

Java maps it only where the class path begins as it did at the recording: with the fetched Kafka
connector, then Spark's jars, by these names.

``python -m lib.setup.class_archive record`` makes the file (what ``make setup`` calls), and
``lib.setup.launch`` tells Java of it. Java ignores an archive that does not fit, so nothing but
time depends on it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.errors import SetupError
from lib.setup.java import Java, find_java
from lib.setup.launch import (
    QUIET,
    build_variables,
    join_class_path,
    list_class_path,
    locate_archive,
    provide_spark_home,
)
from lib.setup.whole_file import make_whole

if TYPE_CHECKING:  # a look for an archive must not take the time of importing pyspark
    from pyspark.sql import DataFrame, SparkSession

#: A recording takes 30 s on 2 idle cores. A machine that needs longer does without.
RECORD_TIMEOUT_S = 300.0

# The classes that a consumer and Spark's source load; the job has no producer in Java.
_CONNECTOR_PACKAGES = (
    "org/apache/spark/",
    "org/apache/kafka/clients/consumer/",
    "org/apache/kafka/clients/Network",
    "org/apache/kafka/common/network/",
    "org/apache/kafka/common/record/",
    "org/apache/kafka/common/requests/",
    "org/apache/kafka/common/utils/",
)


def record_archive(java: Java) -> bool:
    """Run a small job and record the classes it loads; older archives are removed.

    Returns:
        Whether the job ended in time.

    Raises:
        SetupError: the job failed; its output is in the message.
    """
    archive = locate_archive(java)
    home = provide_spark_home()
    with (
        make_whole(archive) as fresh,
        tempfile.TemporaryDirectory(prefix="class-record-") as scratch,
    ):
        options = [f"-XX:ArchiveClassesAtExit={fresh}", *QUIET]
        try:
            run = subprocess.run(
                [
                    str(home / "bin" / "spark-submit"),
                    *("--driver-class-path", join_class_path()),
                    *(__file__, "exercise", scratch),
                ],
                env=os.environ | build_variables({}) | {"SPARK_SUBMIT_OPTS": shlex.join(options)},
                cwd=scratch,
                capture_output=True,
                text=True,
                timeout=RECORD_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        if run.returncode != 0 or not fresh.is_file():
            raise SetupError(
                f"Spark did not run on Java {java.version} at {java.executable}",
                hint=f"its last words:\n{run.stderr[-2000:]}",
            )
        for outdated in archive.parent.glob("*.jsa"):
            outdated.unlink()
    return True


def _exercise_spark(scratch: Path) -> None:
    """Load the classes that a scoring job loads: JSON, Parquet, a stream, a linear model."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    spark = SparkSession.builder.master("local[2]").getOrCreate()
    value = F.to_json(F.struct("id", F.lit("a").alias("text")))
    number = F.col("id").cast("double")
    rows = spark.range(1000).select(
        value.alias("value"), number.alias("x"), (number % 2).alias("y")
    )
    rows.write.parquet(str(scratch / "rows"))
    stored = spark.read.parquet(str(scratch / "rows"))
    parsed = stored.select(F.from_json("value", "id bigint, text string").alias("v"), "x", "y")
    parsed.groupBy("v.text").agg(F.sum("x")).toArrow()
    assembler = VectorAssembler(inputCols=["x"], outputCol="features")
    classifier = LogisticRegression(featuresCol="features", labelCol="y", maxIter=2)
    model = Pipeline(stages=[assembler, classifier]).fit(rows)
    model.write().save(str(scratch / "model"))

    def collect_batch(batch: DataFrame, _: int) -> None:
        batch.toArrow()

    stream = spark.readStream.format("rate").load().writeStream.foreachBatch(collect_batch)
    stream = stream.option("checkpointLocation", str(scratch / "checkpoint"))
    stream.trigger(availableNow=True).start().awaitTermination()
    _load_connector(spark)


def _load_connector(spark: SparkSession) -> None:
    """Load what a Kafka source may need, without a broker."""
    jvm: Any = spark._jvm
    find_class = jvm.java.lang.Class.forName
    loader = jvm.java.lang.ClassLoader.getSystemClassLoader()
    for jar in list_class_path():
        with zipfile.ZipFile(jar) as archive:
            names = [name.removesuffix(".class") for name in archive.namelist() if _is_used(name)]
        for name in names:
            with suppress(Exception):  # some classes need libraries that are not installed
                find_class(name.replace("/", "."), False, loader)


def _is_used(name: str) -> bool:
    return name.endswith(".class") and name.startswith(_CONNECTOR_PACKAGES)


def main() -> int:
    """Run the command, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lib.setup.class_archive", description=__doc__)
    parser.add_argument("action", choices=["record", "exercise"])
    parser.add_argument("scratch", nargs="?", type=Path, help="a folder for `exercise`")
    arguments = parser.parse_args()
    try:
        if arguments.action == "exercise":
            _exercise_spark(arguments.scratch)
        elif not locate_archive(java := find_java()).is_file():
            print("recording Spark's classes for quicker starts (once, 30 s) ...", flush=True)
            if not record_archive(java):
                print(
                    f"not recorded: Spark did not finish ten rows within {RECORD_TIMEOUT_S:.0f} s "
                    "(starts take some seconds more; `make setup` tries again)"
                )
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
