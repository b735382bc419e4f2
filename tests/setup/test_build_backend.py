"""A wheel is built from the clone's files, in which the package gets its own name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_backend import copy_renamed, rename_references
from lib.setup.places import PROJECT_ROOT

KNOWN = {"errors", "setup", "tools"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    copy_renamed(PROJECT_ROOT, folder)
    return folder


@pytest.mark.parametrize(
    ("text", "renamed"),
    [
        ("from lib.errors import SetupError", "from spark_kafka_scoring.errors import SetupError"),
        ("    import lib.errors as e", "    import spark_kafka_scoring.errors as e"),
        ("from lib import __version__", "from spark_kafka_scoring import __version__"),
        (
            '[executable, "-m", "lib.setup.jars"]',
            '[executable, "-m", "spark_kafka_scoring.setup.jars"]',
        ),
        ("# see lib/tools/broker/node.py", "# see spark_kafka_scoring/tools/broker/node.py"),
        ('"""``lib`` of executors."""', '"""``spark_kafka_scoring`` of executors."""'),
    ],
)
def test_a_reference_to_the_package_gets_its_new_name(text: str, renamed: str) -> None:
    assert rename_references(text, KNOWN, "lib/a.py") == renamed


@pytest.mark.parametrize(
    "text",
    [
        "import joblib.hashing",
        "from other.lib.errors import SetupError",
        "self.lib.errors()",
        'path = f"lib/python{version}/site-packages"',
        '"/usr/lib/errors"',
        "my_lib.errors, lib_errors, lib-errors",
    ],
)
def test_other_names_stay(text: str) -> None:
    assert rename_references(text, KNOWN, "lib/a.py") == text


@pytest.mark.parametrize(
    "text",
    [
        "import lib",
        "from lib.nothing import x",
        'logging.getLogger("lib")',
        'f"lib.{name}"',
        '"lib/nothing.py"',
        "# all of lib.",
    ],
)
def test_a_reference_that_cannot_be_renamed_fails_the_build(text: str) -> None:
    with pytest.raises(ValueError, match=r"^lib/a\.py:2: found `.*lib.*`, expected lib only in"):
        rename_references(f"from lib.errors import SetupError\n{text}\n", KNOWN, "lib/a.py")


def test_every_import_of_the_copy_is_found_in_it(copy: Path) -> None:
    own = set()
    for path in copy.rglob("*.py"):
        for name in iter_imports(ast.parse(path.read_text())):
            assert name.split(".")[0] != "lib", path
            if name.split(".")[0] == "spark_kafka_scoring":
                own.add(name)

    assert len(own) > 100
    for name in own:
        path = copy / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


def iter_imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.level == 0
            yield node.module


def test_the_copy_has_the_files_that_the_package_reads(copy: Path) -> None:
    package = copy / "spark_kafka_scoring"
    files = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".py"
    }

    assert files == {
        "py.typed",
        "conf/contracts/telco_churn.toml",
        "conf/ivy-kafka-3.9.xml",
        "conf/ivy-page.xml",
        "conf/ivy-s3.xml",
        "conf/ivy.xml",
        "conf/log4j2.properties",
        "conf/spark-defaults.conf",
        "tools/broker/kafka_3_log4j.properties",
        *(
            f"telemetry/page/static/{name}"
            for name in (
                *("index.html", "login.html", "icon.svg", "style.css", "theme.js", "main.js"),
                *("charts.js", "dom.js", "format.js", "search.js", "sections.js"),
            )
        ),
    }
    metadata = (copy / "setup.cfg").read_text()
    assert "version = attr: spark_kafka_scoring.__version__\n" in metadata
    assert "    spark_kafka_scoring\n    spark_kafka_scoring.*\n" in metadata
