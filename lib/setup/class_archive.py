"""A class-data archive for Spark's JVM: recorded once, it cuts the start of every job by a third.

Most of a Spark start is the JVM reading, checking and linking some 20,000 classes. HotSpot can keep
the result in a file (200 MB) and map it into memory: application class-data sharing, JEP 350.
Measured on 2 busy cores, a job that counts ten rows takes 9.4 s without, 6.5 s with it, and 4.5 s
when the JVM also does without its optimising compiler (as in the tests; a long-running job would
pay for that).

Java maps it only where the class path begins as it did at the recording: with the fetched Kafka
connector, then Spark's jars, by these names.

``python -m lib.setup.class_archive record`` makes the file (what ``make setup`` calls);
``... options`` prints two lines, the JVM's options (logging, and the archive where there is one for
this Java and this Spark) and the class path that goes before Spark's. Java ignores an archive that
does not fit, so nothing but time depends on it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
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
from lib.setup.jars import JarSet, list_jars
from lib.setup.java import Java, find_java
from lib.setup.log_settings import name_log_option
from lib.setup.places import BUILD_ROOT, PROJECT_ROOT
from lib.setup.whole_file import make_whole

if TYPE_CHECKING:  # printing options must not cost the import of pyspark
    from pyspark.sql import DataFrame, SparkSession

#: A recording takes 30 s on 2 idle cores.
RECORD_TIMEOUT_S = 300.0

# What a consumer and Spark's source load, about; a producer in Java is not the job's.
_CONNECTOR_PACKAGES = (
    "org/apache/spark/",
    "org/apache/kafka/clients/consumer/",
    "org/apache/kafka/clients/Network",
    "org/apache/kafka/common/network/",
    "org/apache/kafka/common/record/",
    "org/apache/kafka/common/requests/",
    "org/apache/kafka/common/utils/",
)

# What Java has to say about single classes it cannot archive, or an archive that does not fit,
# helps nobody.
_QUIET = ("-Xlog:disable", "-Xlog:all=error:stderr")


def list_class_path() -> list[Path]:
    """Return the jars that come before Spark's: the Kafka connector, where it has been fetched."""
    try:
        return list_jars(JarSet.CONNECTOR)
    except SetupError:
        return []


def join_class_path() -> str:
    """Return the same as ``spark.driver.extraClassPath`` takes it."""
    return os.pathsep.join(map(str, list_class_path()))


def locate_archive(java: Java, folder: Path = BUILD_ROOT / "cds") -> Path:
    """Return where the archive for this Java and this Spark is, or would be.

    Java compares the class path by name, so a moved clone has another archive.
    """
    parts = (
        *(java.version, str(java.executable.resolve()), str(provide_spark_home())),
        *(_spark_version(), join_class_path()),
    )
    return folder / f"spark-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}.jsa"


def list_jvm_options(java: Java) -> list[str]:
    """Return the options that make a Spark JVM use the archive; none when it was not recorded."""
    archive = locate_archive(java)
    if not archive.is_file():
        return []
    return [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", *_QUIET]


def record_archive(java: Java) -> Path:
    """Run a small job and record the classes it loads; older archives are removed.

    Raises:
        SetupError: the job failed; its output is in the message.
    """
    archive = locate_archive(java)
    home = provide_spark_home()
    with (
        make_whole(archive) as fresh,
        tempfile.TemporaryDirectory(prefix="class-record-") as scratch,
    ):
        options = [f"-XX:ArchiveClassesAtExit={fresh}", *_QUIET]
        try:
            run = subprocess.run(
                [
                    str(home / "bin" / "spark-submit"),
                    *("--driver-class-path", join_class_path()),
                    *(__file__, "exercise", scratch),
                ],
                env=os.environ
                | {
                    "SPARK_HOME": str(home),
                    "SPARK_SUBMIT_OPTS": shlex.join(options),
                    "SPARK_LOCAL_IP": "127.0.0.1",
                    "PYTHONPATH": str(PROJECT_ROOT),
                    "PYSPARK_PYTHON": sys.executable,
                    "PYSPARK_DRIVER_PYTHON": sys.executable,
                },
                cwd=scratch,
                capture_output=True,
                text=True,
                timeout=RECORD_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SetupError(
                f"Spark did not finish ten rows within {RECORD_TIMEOUT_S:.0f} s"
            ) from error
        if run.returncode != 0 or not fresh.is_file():
            raise SetupError(
                f"Spark did not run on Java {java.version} at {java.executable}",
                hint=f"its last words:\n{run.stderr[-2000:]}",
            )
        for outdated in archive.parent.glob("*.jsa"):
            outdated.unlink()
    return archive


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
            with suppress(Exception):  # some want libraries that nobody has
                find_class(name.replace("/", "."), False, loader)


def _is_used(name: str) -> bool:
    return name.endswith(".class") and name.startswith(_CONNECTOR_PACKAGES)


def provide_spark_home(view: Path = BUILD_ROOT / "spark-home") -> Path:
    """Return a home of the installed Spark for sessions of this machine, made where it is missing.

    It is pyspark's own less ``python/lib/pyspark.zip``: from the zip, every driver and every Python
    worker would compile pyspark's modules anew, 0.5 s each; without it they find the installed,
    compiled ones.
    """
    installed = _installed_spark_home()
    for name in ("bin", "jars"):
        link = view / name
        if not link.exists() or link.resolve() != (installed / name).resolve():
            view.mkdir(parents=True, exist_ok=True)
            fresh = view / f".{name}.{os.getpid()}"
            fresh.symlink_to(installed / name)
            fresh.replace(link)
    return view


def _installed_spark_home() -> Path:
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise SetupError("pyspark is not installed")
    return Path(spec.origin).parent


def _spark_version() -> str:
    return importlib.metadata.version("pyspark")


def main() -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lib.setup.class_archive", description=__doc__)
    parser.add_argument("action", choices=["record", "options", "exercise"])
    parser.add_argument("scratch", nargs="?", type=Path, help="a folder for `exercise`")
    arguments = parser.parse_args()
    try:
        java = find_java()
        if arguments.action == "options":
            print(shlex.join([name_log_option(), *list_jvm_options(java)]))
            print(join_class_path())
        elif arguments.action == "exercise":
            _exercise_spark(arguments.scratch)
        elif not locate_archive(java).is_file():
            print("recording Spark's classes for quicker starts (once, 30 s) ...", flush=True)
            record_archive(java)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
