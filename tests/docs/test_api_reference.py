"""The signatures in docs/api.md are those of the code."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from lib import inference_backend
from tests.docs.documents import iter_blocks, read_document

DOCUMENT = "docs/api.md"


def parse_reference() -> ast.Module:
    (block,) = (b for b in iter_blocks(DOCUMENT, "python") if b.mark == "signatures")
    return ast.parse(block.text)


def iter_signatures() -> Iterator[tuple[str, str]]:
    """Yield (dotted name, signature) of everything that the document lists."""
    for node in parse_reference().body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, describe(node)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                assert isinstance(method, ast.FunctionDef)
                yield f"{node.name}.{method.name}", describe(method)


def describe(function: ast.FunctionDef) -> str:
    returns = "" if function.returns is None else f" -> {ast.unparse(function.returns)}"
    return f"({ast.unparse(function.args)}){returns}"


def find_source(name: str) -> ast.FunctionDef:
    found: Any = inference_backend
    for part in name.split("."):
        found = getattr(found, part)
    (node,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(found))).body
    assert isinstance(node, ast.FunctionDef)
    return node


@pytest.mark.parametrize(("name", "documented"), list(iter_signatures()))
def test_a_documented_signature_is_that_of_the_code(name: str, documented: str) -> None:
    assert documented == describe(find_source(name))


def test_everything_exported_is_documented() -> None:
    names = set()
    for node in parse_reference().body:
        if isinstance(node, ast.AnnAssign):
            names.add(ast.unparse(node.target))
        else:
            assert isinstance(node, ast.FunctionDef | ast.ClassDef)
            names.add(node.name)

    assert names == set(inference_backend.__all__)


@pytest.mark.parametrize("kind", ["SklearnBackend", "OnnxBackend", "SqlBackend", "SparkBackend"])
def test_every_public_attribute_of_a_backend_is_documented(kind: str) -> None:
    backend = getattr(inference_backend, kind)("nowhere")
    text = read_document(DOCUMENT)
    reference = text[text.index("### Attributes of a backend") :]

    for name in dir(backend):
        is_method = callable(getattr(type(backend), name, None))
        if not name.startswith("_") and not is_method:
            assert f"`{name}`" in reference, name
