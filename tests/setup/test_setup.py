"""A newcomer meets `make`, its checks, and the wrapper around spark-submit."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from lib.log_lines import KEYS, build_line
from lib.setup.launch import name_local_master
from lib.setup.places import PROJECT_ROOT

#: The shell scripts call these programs: nothing of Python, Java or Spark.
_SHELL_TOOLS = (
    *(
        "awk",
        "basename",
        "bash",
        "cat",
        "cksum",
        "cut",
        "date",
        "dirname",
        "env",
        "find",
        "make",
        "mkdir",
    ),
    *("mv", "readlink", "rm", "sh", "sort", "tr", "touch", "uname"),
)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Make a folder for PATH that has only a shell's tools."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in _SHELL_TOOLS:
        found = shutil.which(name)
        assert found is not None, name
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy what the scripts need, without an environment and without jars."""
    return make_clone(tmp_path / "a clone")  # some folders have blanks in their names


def make_clone(folder: Path) -> Path:
    folder.mkdir()
    for name in ("Makefile", "spark-submit.sh", "setup.cfg", "pyproject.toml"):
        shutil.copy2(PROJECT_ROOT / name, folder / name)
    for name in ("lib", "conf", "requirements"):
        shutil.copytree(
            PROJECT_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


def write_script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        umask=0o022,
        capture_output=True,
        text=True,
        check=False,
    )


# --- make ---


def test_make_alone_explains_every_target(clone: Path, tools: Path) -> None:
    makefile = (clone / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE))
    targets = {target for target in targets if not target.startswith("check-")}

    done = run(["make"], clone, PATH=str(tools))

    assert done.returncode == 0
    assert set(re.findall(r"^  make (\S+) +\S", done.stdout, re.MULTILINE)) == targets
    assert targets >= {"help", "setup", "demo", "test", "check", "lint", "types", "bench", "clean"}


def test_no_python_is_one_clear_line(clone: Path, tools: Path) -> None:
    done = run(["make", "test"], clone, PATH=str(tools))
    assert done.returncode != 0
    assert done.stdout == ""
    assert error_lines(done.stderr) == [
        "error: Python 3.11+ is needed; found: none of python3.13 python3.12 python3.11 python3 "
        "(install it, or name one: make PYTHON=/path/to/python3.12)"
    ]


def test_an_old_python_is_named(clone: Path, tools: Path) -> None:
    write_script(tools / "python3", 'case "$2" in *print*) echo 3.9.2 ;; *) exit 1 ;; esac')
    done = run(["make", "demo"], clone, PATH=str(tools))
    assert done.returncode != 0
    assert error_lines(done.stderr) == [
        "error: Python 3.11+ is needed; found: python3 is 3.9.2; "
        "(install it, or name one: make PYTHON=/path/to/python3.12)"
    ]


def test_an_old_java_is_one_clear_line_before_anything_is_installed(
    clone: Path, tools: Path
) -> None:
    (tools / "python3").symlink_to(sys.executable)
    write_script(tools / "java", "echo 'openjdk version \"11.0.22\" 2024-01-16' >&2")
    done = run(["make", "test"], clone, PATH=str(tools))
    assert done.returncode != 0
    assert error_lines(done.stderr) == [
        f"error: Java 17+ is needed; found Java 11.0.22 at {tools}/java (by PATH) "
        "(install Java 17 or newer, then set JAVA_HOME or put java on PATH)"
    ]
    assert not (clone / ".venv").exists()


def test_no_java_is_one_clear_line(clone: Path, tools: Path) -> None:
    (tools / "python3").symlink_to(sys.executable)
    done = run(["make", "demo"], clone, PATH=str(tools))
    assert done.returncode != 0
    assert error_lines(done.stderr) == [
        "error: Java 17+ is needed; JAVA_HOME is not set and no java is on PATH "
        "(install Java 17 or newer, then set JAVA_HOME or put java on PATH)"
    ]


def error_lines(text: str) -> list[str]:
    """Return the error lines that a user reads, without make's own closing line."""
    return [line for line in text.splitlines() if not line.startswith("make: ***")]


def test_every_installed_package_is_pinned() -> None:
    for name in ("runtime.txt", "compiled.txt", "dev.txt"):
        for line in (PROJECT_ROOT / "requirements" / name).read_text().splitlines():
            assert re.fullmatch(r"#.*|-r (?:runtime|compiled)\.txt||[\w.-]+==[\w.]+", line), line


# --- spark-submit.sh ---


@pytest.fixture
def echoing_tools(clone: Path, tools: Path) -> dict[str, str]:
    """Make an environment whose spark-submit prints how it was called."""
    (tools / "python3").symlink_to(sys.executable)
    java = shutil.which("java", path=f"{os.environ.get('JAVA_HOME', '')}/bin:{os.environ['PATH']}")
    assert java is not None
    (tools / "java").symlink_to(java)
    write_script(tools / "spark-submit", 'printf "%s\\n" "$@"; exit 7')
    return {"PATH": str(tools)}


def test_a_master_among_the_settings_stays(
    clone: Path, tmp_path: Path, echoing_tools: dict[str, str]
) -> None:
    with (clone / "conf" / "spark-defaults.conf").open("a") as settings:
        settings.write("spark.master  spark://elsewhere:7077\n")

    done = run([str(clone / "spark-submit.sh"), "jobs/job.py"], tmp_path, **echoing_tools)

    assert done.returncode == 7, done.stderr
    assert "--master" not in done.stdout.splitlines()


def test_the_wrapper_ships_lib_and_settings_and_passes_on_the_exit_code(
    clone: Path, tmp_path: Path, echoing_tools: dict[str, str]
) -> None:
    job = ["jobs/job.py", "--config", "a b.toml"]
    done = run([str(clone / "spark-submit.sh"), *job], tmp_path, **echoing_tools)

    (library,) = (clone / "build").iterdir()
    assert done.returncode == 7
    assert done.stdout.splitlines() == [
        *("--properties-file", f"{clone}/conf/spark-defaults.conf"),
        *("--py-files", str(library)),
        *("--conf", "spark.python.unix.domain.socket.dir=/tmp"),
        *("--conf", "spark.hadoop.fs.permissions.umask-mode=0022"),
        *("--master", name_local_master()),
        *job,
    ]
    assert "lib/tools/broker/embedded.py" in zipfile.ZipFile(library).namelist()


def test_the_wrapper_adds_to_the_callers_options(
    clone: Path, tmp_path: Path, echoing_tools: dict[str, str]
) -> None:
    (clone / "build" / "jars" / "connector").mkdir(parents=True)
    (clone / "build" / "jars" / "connector" / "kafka-1.jar").touch()
    (clone / "jobs").mkdir()
    (clone / "jobs" / "job.py").touch()
    link = tmp_path / "submit"
    link.symlink_to(clone / "spark-submit.sh")

    options = ["--jars", "own.jar", "--py-files=own.zip", "--properties-file=own.conf", "-v"]
    job = ["jobs/job.py", "--jars", "of the job"]
    done = run([str(link), *options, "--master", "yarn", *job], tmp_path, **echoing_tools)

    (library,) = (clone / "build").glob("lib-*.zip")
    assert done.stdout.splitlines() == [
        "--properties-file=own.conf",
        *("--jars", f"own.jar,{clone}/build/jars/connector/kafka-1.jar"),
        *("--py-files", f"{library},own.zip"),
        *("--conf", "spark.jars.packages="),
        *("-v", "--master", "yarn"),
        *(f"{clone}/jobs/job.py", "--jars", "of the job"),
    ]


def test_in_cluster_mode_the_wrapper_sends_what_the_options_name(
    clone: Path, tmp_path: Path, echoing_tools: dict[str, str]
) -> None:
    shutil.copytree(PROJECT_ROOT / "jobs", clone / "jobs")
    (clone / ".venv").symlink_to(Path(sys.prefix))
    (tmp_path / "my settings.toml").write_text('input_topic = "customers"\n')
    (tmp_path / "own.txt").touch()
    model = tmp_path / "model.joblib"
    model.touch()
    job = ["jobs/score_stream.py", "--config", "my settings.toml", "--model", str(model)]
    echo = tmp_path / "spark-submit"
    write_script(echo, 'printf "%s\\n" "$@"; echo "python ${PYSPARK_DRIVER_PYTHON-none}"')
    # The clone's environment has a real spark-submit, which this script replaces.
    script = (clone / "spark-submit.sh").read_text()
    script = script.replace('exec "$spark_submit"', f'exec "{echo}"')
    (clone / "spark-submit.sh").write_text(script)

    options = ["--master", "yarn", "--deploy-mode", "cluster", "--files", "own.txt"]
    environment = {"PATH": os.environ["PATH"], "PYSPARK_PYTHON": "/opt/python/bin/python3"}
    done = run([str(clone / "spark-submit.sh"), *options, *job], tmp_path, **environment)

    assert done.returncode == 0, done.stderr
    (packed,) = (clone / "build").glob("model-*.zip")
    words = done.stdout.splitlines()
    assert words[words.index("--files") :] == [
        "--files",
        f"own.txt,{clone.as_uri()}/conf/log4j2.properties#log4j2.properties,"
        f"{tmp_path.as_uri()}/my%20settings.toml#settings.toml",
        *("--archives", f"{packed.as_uri()}#models"),
        f"{clone}/jobs/score_stream.py",
        *("--config", "settings.toml", "--model", "models/model.joblib"),
        # The cluster would not find this machine's own Python.
        "python none",
    ]


@pytest.mark.parametrize("master", ["spark://here:7077", "k8s://here", "local[2]"])
def test_cluster_mode_is_for_yarn_alone(
    clone: Path, echoing_tools: dict[str, str], master: str
) -> None:
    options = ["--master", master, "--deploy-mode=cluster"]
    done = run([str(clone / "spark-submit.sh"), *options, "job.py"], clone, **echoing_tools)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: --deploy-mode cluster: found --master {master}, expected yarn;"
        " see docs/clusters.md for others\n"
    )


def test_the_zip_is_made_again_only_when_lib_changed(
    clone: Path, echoing_tools: dict[str, str]
) -> None:
    command = [str(clone / "spark-submit.sh"), "job.py"]
    run(command, clone, **echoing_tools)
    (first,) = (clone / "build").glob("lib-*.zip")
    made_at = first.stat().st_mtime_ns

    run(command, clone, **echoing_tools)
    assert list((clone / "build").glob("lib-*.zip")) == [first]
    assert first.stat().st_mtime_ns == made_at

    (clone / "lib" / "novelty.py").write_text("x = 1\n")
    run(command, clone, **echoing_tools)
    (second,) = set((clone / "build").glob("lib-*.zip")) - {first}
    assert "lib/novelty.py" in zipfile.ZipFile(second).namelist()
    assert first.exists()  # a running job may still start workers from it


def test_concurrent_wrappers_leave_one_whole_zip(
    clone: Path, echoing_tools: dict[str, str]
) -> None:
    command = [str(clone / "spark-submit.sh"), "job.py"]
    wrappers = [
        subprocess.Popen(command, cwd=clone, env=echoing_tools, stdout=subprocess.DEVNULL)
        for _ in range(6)
    ]
    assert [wrapper.wait(60) for wrapper in wrappers] == [7] * 6
    (library,) = (clone / "build").iterdir()
    assert zipfile.ZipFile(library).testzip() is None


def test_a_start_that_cannot_write_the_zip_is_one_clear_line(
    clone: Path, echoing_tools: dict[str, str]
) -> None:
    (clone / "build").write_text("a file, where a folder is expected")
    done = run([str(clone / "spark-submit.sh"), "job.py"], clone, **echoing_tools)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: {clone}/build: File exists (run `make setup` as the user who owns the folder; "
        "then a start writes nothing)\n"
    )


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_of_spark_get_the_rights_that_the_umask_leaves(
    clone: Path, echoing_tools: dict[str, str], umask: int
) -> None:
    command = ["sh", "-c", f"umask {umask:o}; exec {shlex.quote(str(clone))}/spark-submit.sh j.py"]
    done = run(command, clone, **echoing_tools)
    assert f"spark.hadoop.fs.permissions.umask-mode={umask:04o}" in done.stdout.splitlines()


@pytest.mark.parametrize(("name", "sockets"), [("short", "short"), ("long" * 20, None)])
def test_java_takes_the_folder_of_temporary_files_that_python_takes(
    clone: Path, echoing_tools: dict[str, str], name: str, sockets: str | None
) -> None:
    script = 'echo "$SPARK_SUBMIT_OPTS"; printf "%s\\n" "$@"'
    write_script(Path(echoing_tools["PATH"]) / "spark-submit", script)
    command = [str(clone / "spark-submit.sh"), "job.py"]
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as short:
        folder = Path(short) / name
        folder.mkdir()
        done = run(command, clone, **echoing_tools, TMPDIR=str(folder))
    assert f"-Djava.io.tmpdir={folder}" in done.stdout.splitlines()[0].split()
    expected = folder if sockets else "/tmp"
    assert f"spark.python.unix.domain.socket.dir={expected}" in done.stdout.splitlines()

    done = run(command, clone, **echoing_tools)
    assert "-Djava.io.tmpdir" not in done.stdout
    assert "spark.python.unix.domain.socket.dir=/tmp" in done.stdout.splitlines()


def test_all_that_a_job_prints_becomes_json_where_that_is_chosen_anywhere(
    clone: Path, tmp_path: Path, echoing_tools: dict[str, str]
) -> None:
    own = build_line("INFO", "lib.start", "ready")
    script = f"""
        printf '%s\\n' "log format $SCORE_LOG_FORMAT" "$@"
        echo 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g' >&2
        echo '{own}' >&2
        echo 'Exception in thread "main" java.lang.Error' >&2
        exit 7"""
    write_script(Path(echoing_tools["PATH"]) / "spark-submit", script)
    (tmp_path / "own.toml").write_text('log_format = "json"\n')
    command = [str(clone / "spark-submit.sh"), "--verbose", "job.py"]

    for words, variables in (
        (["--config", "own.toml"], {}),
        (["--log-format=json"], {"SCORE_LOG_FORMAT": "text"}),
        ([], {"SCORE_LOG_FORMAT": "json"}),
    ):
        done = run([*command, *words], tmp_path, **echoing_tools, **variables)

        assert done.returncode == 7
        (output,) = map(json.loads, done.stdout.splitlines())
        said = output["message"].splitlines()
        assert (output["logger"], said[0]) == ("stdout", "log format json")
        assert said[-len(words) - 2 :] == ["--verbose", "job.py", *words]
        for name in ("executorEnv", "yarn.appMasterEnv"):
            assert f"spark.{name}.SCORE_LOG_FORMAT=json" in said
        java, ready, error = done.stderr.splitlines()
        assert ready == own
        assert (json.loads(java)["logger"], json.loads(java)["level"]) == ("stderr", "INFO")
        assert json.loads(java)["message"] == "Picked up JAVA_TOOL_OPTIONS: -Xmx1g"
        assert json.loads(error)["level"] == "ERROR"

    other = {"SCORE_LOG_FORMAT": "json"}
    done = run([*command, "--log-format", "text"], tmp_path, **echoing_tools, **other)
    assert done.stdout.startswith("log format text\n--properties-file\n")


def test_a_refusal_of_the_wrapper_is_json_too(
    clone: Path, tmp_path: Path, echoing_tools: dict[str, str]
) -> None:
    command = [str(clone / "spark-submit.sh"), "--deploy-mode=cluster", "--master=k8s://here"]
    refused = run([*command, "job.py", "--log-format", "json"], tmp_path, **echoing_tools)
    (Path(echoing_tools["PATH"]) / "java").unlink()
    no_java = run([*command, "job.py", "--log-format", "json"], tmp_path, **echoing_tools)

    assert (refused.returncode, no_java.returncode) == (1, 1)
    said, found = json.loads(refused.stderr), json.loads(no_java.stderr)
    assert tuple(said) == (*KEYS, "exit_code")
    assert (said["level"], said["logger"], said["exit_code"]) == ("ERROR", "lib.error", 1)
    assert said["message"].startswith("--deploy-mode cluster: found --master k8s://here, expected")
    assert (found["level"], found["logger"], found["exit_code"]) == ("ERROR", "lib.error", 1)
    assert found["message"].startswith("Java 17+ is needed; ")

    (Path(echoing_tools["PATH"]) / "spark-submit").unlink()
    strange = clone.rename(tmp_path / 'a "clone" \\')
    command = [str(strange / "spark-submit.sh"), "job.py"]
    for words, variables in (
        (["--log-format=json"], {"SCORE_LOG_FORMAT": "text"}),
        ([], {"SCORE_LOG_FORMAT": "json"}),
    ):
        no_spark = run([*command, *words], tmp_path, **echoing_tools, **variables)
        assert json.loads(no_spark.stderr)["message"].startswith(f"there is no {strange}/.venv and")
    as_text = run([*command, "--log-format", "text"], tmp_path, **echoing_tools, **variables)
    assert as_text.stderr.startswith("error: there is no ")


def test_no_spark_is_one_clear_line(clone: Path, echoing_tools: dict[str, str]) -> None:
    (Path(echoing_tools["PATH"]) / "spark-submit").unlink()
    done = run([str(clone / "spark-submit.sh"), "job.py"], clone, **echoing_tools)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: there is no {clone}/.venv and no spark-submit on PATH "
        f"(run `make setup` in {clone})\n"
    )


def test_the_wrapper_refuses_an_old_java(clone: Path, echoing_tools: dict[str, str]) -> None:
    java = Path(echoing_tools["PATH"]) / "java"
    java.unlink()
    write_script(java, "echo 'openjdk version \"11.0.22\" 2024-01-16' >&2")
    done = run([str(clone / "spark-submit.sh"), "job.py"], clone, **echoing_tools)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: Java 17+ is needed; found Java 11.0.22 at {java}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.spark
def test_a_real_job_runs_from_a_clone_whatever_its_folder_is_called(tmp_path: Path) -> None:
    # The name has quotes, blanks, letters beyond ASCII, and what shells, Java's options and URIs
    # replace.
    clone = make_clone(tmp_path / "it's 50% of $HOME & a%41 Größe")
    (clone / ".venv").symlink_to(Path(sys.prefix))
    (clone / "build").mkdir()
    (clone / "build" / "jars").symlink_to(PROJECT_ROOT / "build" / "jars")
    (clone / "jobs").mkdir()
    (clone / "jobs" / "job.py").write_text(
        "from pyspark.sql import SparkSession, functions as sf\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "count = sf.udf(lambda _: __import__('lib.errors').errors.__file__, 'string')\n"
        "print(spark.range(1).select(count('id')).collect()[0][0])\n"
        "spark.read.format('kafka').option('subscribe', 'x')"
        ".option('kafka.bootstrap.servers', '127.0.0.1:9').load()\n"
        "log4j = spark._jvm.org.apache.logging.log4j.LogManager.getContext(False)\n"
        "print(log4j.getConfiguration().getConfigurationSource().getLocation())\n"
        "spark.stop()\n"
    )
    done = subprocess.run(
        [str(clone / "spark-submit.sh"), "--conf", "spark.ui.enabled=false", "jobs/job.py"],
        cwd=tmp_path,
        # This locale, as under cron, cannot write the folder's name.
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (library,) = (clone / "build").glob("lib-*.zip")
    imported, log_settings = done.stdout.splitlines()
    # This is the zip that was sent, wherever Spark has put it.
    assert imported.endswith(f"/{library.name}/lib/errors.py")
    assert log_settings == str(clone / "conf" / "log4j2.properties")


@pytest.mark.spark
@pytest.mark.parametrize("master", [[], ["--master", "local[3]"], ["--conf=spark.master=local"]])
def test_a_real_job_runs_from_any_folder_with_lib_and_the_connector(
    tmp_path: Path, master: list[str]
) -> None:
    job = tmp_path / "job.py"
    job.write_text(
        "import sys\n"
        "from pyspark.sql import SparkSession, functions as sf\n"
        "from lib.record.contract import Kind\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "count = sf.udf(lambda _: len(Kind), 'int')\n"
        "print(spark.range(1).select(count('id')).collect()[0][0])\n"
        "spark.read.format('kafka').option('subscribe', 'x')"
        ".option('kafka.bootstrap.servers', '127.0.0.1:9').load().printSchema()\n"
        "import pyspark\n"
        "print(pyspark.__file__, spark.conf.get('spark.hadoop.fs.file.impl'))\n"
        "sys.exit(5)\n"
    )
    done = subprocess.run(
        [
            *(str(PROJECT_ROOT / "spark-submit.sh"), "--conf", "spark.ui.enabled=false"),
            *(*master, str(job)),
        ],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert done.stdout.splitlines()[0] == "6"
    assert " |-- offset: long (nullable = true)" in done.stdout
    from lib.exactly_once.checkpoint.files import PLAIN_FILE_SYSTEM

    # The modules are compiled rather than zipped, and the file system starts no processes.
    home, files = done.stdout.splitlines()[-1].split()
    assert home.endswith("/site-packages/pyspark/__init__.py")
    assert files == PLAIN_FILE_SYSTEM
