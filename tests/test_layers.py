"""Imports go one way, folder by folder, in the order of the table in README.md."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lib.setup.places import PROJECT_ROOT
from tests.support.process import run_python

# The folders of lib in the order in which they may import: each imports only from those above it.
# Modules in lib itself come first, except the face, which is a folder's public name.
FOLDERS = (
    "lib",
    "record",
    "drift",
    "messages",
    "setup",
    "spark",
    "exactly_once.offsets",
    "kafka",
    # The rows of the backends, from which settings and messages derive. They import no backend.
    "score.registry",
    "store",
    "settings",
    "decode",
    "score",
    "inference_backend",
    "encode",
    "exactly_once.checkpoint",
    "exactly_once.transaction",
    "exactly_once.commit",
    "exactly_once.start",
    "source",
    "exactly_once",
    "sink",
    "telemetry",
    "stream",
    "synth",
    "training",
    "evaluation",
    "tools.broker",
    "tools.contract",
    "tools.produce",
    "tools.demo",
    "tools.deploy",
    "tools.dead_letters",
    "tools.offsets",
    "tools.models",
    "tools.check",
    "tools",
)
# These folders import neither Spark nor Kafka's client.
PURE_FOLDERS = {"lib", "record", "drift", "messages", "exactly_once.offsets", "store", "settings"}
NOT_PURE = {"pyspark", "confluent_kafka", "py4j"}
MAX_MODULES = 12


def list_modules() -> dict[str, Path]:
    """Return name below lib, empty for lib itself → file."""
    modules = {}
    for path in sorted((PROJECT_ROOT / "lib").rglob("*.py")):
        name = ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)
        modules[name.removesuffix(".__init__").removeprefix("lib").removeprefix(".")] = path
    return modules


def folder_of(module: str) -> str:
    """Return the longest of the listed folders that holds a module."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (folder := ".".join(parts[:length])) in FOLDERS:
            return folder
    assert len(parts) == 1, f"lib/{module.replace('.', '/')}.py: its folder is not in FOLDERS"
    return "lib"


def imports_of(path: Path) -> set[str]:
    """Return the modules that a file imports, within functions too, but not those for types."""
    found = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        pending += ast.iter_child_nodes(node)
    return found


def list_imported(module: str) -> set[str]:
    """Return the modules of lib that one module imports."""
    modules = list_modules()
    names = {name.removeprefix("lib.") for name in imports_of(modules[module]) if "lib." in name}
    return names & modules.keys()


@pytest.mark.parametrize("module", list_modules())
def test_a_module_imports_only_from_its_folder_and_those_before_it(module: str) -> None:
    place = FOLDERS.index(folder_of(module))
    for imported in list_imported(module):
        assert FOLDERS.index(folder_of(imported)) <= place, f"{module} imports {imported}"


@pytest.mark.parametrize(
    "module", [name for name in list_modules() if folder_of(name) in PURE_FOLDERS]
)
def test_a_pure_module_needs_neither_spark_nor_kafka(module: str) -> None:
    for imported in imports_of(list_modules()[module]):
        assert imported.split(".")[0] not in NOT_PURE, f"{module} imports {imported}"


def test_each_listed_folder_exists() -> None:
    for folder in FOLDERS:
        path = PROJECT_ROOT / "lib" / folder.removeprefix("lib").replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), folder


def test_the_readme_lists_the_folders_in_this_order() -> None:
    table = (PROJECT_ROOT / "README.md").read_text().partition("| folder | holds |\n|---|---|\n")[2]
    rows = table.partition("\n\n")[0].splitlines()

    assert [row.split("|")[1].strip(" `") for row in rows] == list(FOLDERS)


def test_no_folder_holds_more_modules_than_a_reader_takes_in() -> None:
    for folder in {path.parent for path in list_modules().values()}:
        modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= MAX_MODULES, folder


def test_only_the_face_and_training_import_a_backend() -> None:
    """All other modules know only the rows of lib/score/registry.py."""
    for module in list_modules():
        if not module.startswith(("score.backends", "training", "inference_backend")):
            imported = {name for name in list_imported(module) if name.startswith("score.backends")}
            assert imported == set(), module


def test_the_exactly_once_sink_knows_nothing_of_models_or_records() -> None:
    reached: set[str] = set()
    pending = {"exactly_once.sink"}
    while pending:
        name = pending.pop()
        reached.add(name)
        pending |= list_imported(name) - reached

    known = {"record", "decode", "score", "encode", "store", "training", "settings", "stream"}
    assert {name.split(".")[0] for name in reached}.isdisjoint(known), reached


def test_only_the_probe_makes_evidence_that_a_model_scores() -> None:
    makers = [name for name, path in list_modules().items() if "Probed(" in path.read_text()]

    assert makers == ["score.admission.probe"]


def test_jobs_are_short_and_import_no_other_job() -> None:
    for path in sorted((PROJECT_ROOT / "jobs").glob("*.py")):
        assert len(path.read_text().splitlines()) <= 110, path.name
        assert not {name for name in imports_of(path) if name.startswith("jobs")}, path.name


def test_the_library_face_imports_without_spark_and_kafka() -> None:
    code = (
        "import sys\n"
        "for name in ('pyspark', 'confluent_kafka', 'pydantic'): sys.modules[name] = None\n"
        "import lib.inference_backend as face\n"
        "print(face.SPARK_AVAILABLE)"
    )

    done = run_python("-c", code)

    assert done.stdout.strip() == "False", done.stderr


def test_a_worker_that_scores_with_onnx_imports_no_library_of_other_backends() -> None:
    """Each worker imports for itself, and pandas alone takes a quarter of a second."""
    code = (
        "import sys\n"
        "import lib.stream.one_pass, lib.score.backends.onnx.scorer\n"
        "print(sorted({'joblib', 'pandas', 'sklearn', 'pyspark.ml'} & sys.modules.keys()))"
    )

    done = run_python("-c", code)

    assert done.stdout.strip() == "[]", done.stderr
