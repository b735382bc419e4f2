"""Imports go one way: pure Python ← DataFrame functions ← Kafka and files ← jobs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.process import run_python

ROOT = Path(__file__).parents[1]

# Every module of lib has a layer; it may import from its own and from those before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        *("errors", "background", "interruption", "record", "codec", "score_batch", "cli"),
        *("exit_codes", "settings", "setup", "spark"),
        *("kafka.options", "kafka.rights", "kafka.secrets", "kafka.topic_limits"),
        *("sinks.resume", "sinks.stamp", "sinks.bounded", "sinks.ownership", "sinks.columns"),
        *("sinks.client_log", "sinks.lease", "sinks.process_identity", "sinks.keep_alive"),
        *("sinks.settings", "sinks.header_text", "sinks.acceptance", "sinks.checkpoint_format"),
        "sources.partitions",
        *("streaming.restarts", "streaming.real_time", "telemetry", "synth", "store"),
    ),
    (
        *("spark.session", "spark.local_session", "spark.hung_workers"),
        *("scoring", "inference_backend", "training", "deploy"),
    ),
    (
        *("codec.explain_spark", "codec.decode_spark", "codec.decode_workers"),
        *("codec.encode_spark", "pipeline"),
    ),
    (
        *("kafka", "streaming.stop_signal", "sources", "sinks", "broker", "producing"),
        *("resending", "consuming"),
    ),
    ("streaming", "demo"),
)
PURE_MODULES = ("pyspark", "confluent_kafka", "py4j")


def list_modules() -> dict[str, Path]:
    modules = {}
    for path in sorted((ROOT / "lib").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "lib").with_suffix("").parts)
        modules[name.removesuffix(".__init__")] = path
    modules.pop("__init__", None)
    return modules


def layer_of(module: str) -> int:
    """The layer of the longest prefix that is listed."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        for number, names in enumerate(LAYERS):
            if prefix in names:
                return number
    raise AssertionError(f"lib/{module.replace('.', '/')}.py has no layer: add it to LAYERS")


def imports_of(path: Path) -> set[str]:
    """Modules imported when the file is, not those within functions or for types only."""
    found = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        pending += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("module", list_modules())
def test_a_module_imports_only_its_own_and_lower_layers(module: str) -> None:
    modules = list_modules()
    layer = layer_of(module)
    for imported in imports_of(modules[module]):
        name = imported.removeprefix("lib.")
        if imported.startswith("lib.") and name in modules:
            assert layer_of(name) <= layer, f"{module} imports {name} of a higher layer"


@pytest.mark.parametrize("module", [name for name in list_modules() if layer_of(name) == 0])
def test_a_pure_module_needs_neither_spark_nor_kafka(module: str) -> None:
    for imported in imports_of(list_modules()[module]):
        assert imported.split(".")[0] not in PURE_MODULES, f"{module} imports {imported}"


def test_the_exactly_once_sink_knows_nothing_of_models_or_customers() -> None:
    modules, reached, pending = list_modules(), set(), {"sinks.exactly_once"}
    while pending:
        name = pending.pop()
        reached.add(name)
        imported = {found.removeprefix("lib.") for found in imports_of(modules[name])}
        pending |= (imported & modules.keys()) - reached

    known = {"contract", "codec", "pipeline", "scoring", "store", "training", "score_batch"}
    assert {name.split(".")[0] for name in reached}.isdisjoint(known), reached


def test_jobs_are_short_and_import_no_other_job() -> None:
    for path in sorted((ROOT / "jobs").glob("*.py")):
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
    """Each worker imports for itself: pandas alone is a quarter of a second of its start."""
    code = (
        "import sys\n"
        "import lib.score_batch, lib.scoring.onnx_scorer\n"
        "print(sorted({'joblib', 'pandas', 'sklearn', 'pyspark.ml'} & sys.modules.keys()))"
    )

    done = run_python("-c", code)

    assert done.stdout.strip() == "[]", done.stderr
