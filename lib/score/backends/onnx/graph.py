"""Reads from an ONNX file which classes its probabilities stand for.

onnxruntime does not tell the attributes of a graph's nodes, so the few fields of the format that
say it are read here, with protobuf, which onnxruntime needs itself. Their numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, where they never change.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]  # it ships no types
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

# Message → field → (number, whether it repeats, type); a type with a capital is another message.
_FORMAT: dict[str, dict[str, tuple[int, bool, str]]] = {
    "Attribute": {"name": (1, False, "string"), "ints": (8, True, "int64")}
    | {"strings": (9, True, "bytes")},
    "Node": {"input": (1, True, "string"), "output": (2, True, "string")}
    | {"op_type": (4, False, "string"), "attribute": (5, True, "Attribute")},
    "Graph": {"node": (1, True, "Node")},
    "Model": {"graph": (7, False, "Graph")},
}
# These nodes change neither the order nor the number of the probabilities.
_TRANSPARENT = {"Cast", "Identity", "Normalizer", "Softmax"}
_LABELS = {"classlabels_ints", "classlabels_int64s", "classlabels_strings"}


def read_classes(content: bytes, output: str) -> list[int] | list[str] | None:
    """Read the classes of the node that computes an output; None if the graph does not tell them.

    Args:
        content: the bytes of the file.
        output: the graph's name of the output that holds the probabilities.
    """
    model = _get_model_type()()
    try:
        model.ParseFromString(content)
    except DecodeError:
        return None
    producers = {name: node for node in model.graph.node for name in node.output}
    node = producers.get(output)
    while node is not None:
        for attribute in node.attribute:
            if attribute.name in _LABELS:
                texts = [it.decode(errors="replace") for it in attribute.strings]
                return texts or list(attribute.ints)
        # Each step goes to an earlier node, because a graph has no cycles.
        node = producers.get(node.input[0]) if node.op_type in _TRANSPARENT else None
    return None


@cache
def _get_model_type() -> Any:
    """Build the class of messages for the fields of :data:`_FORMAT`."""
    package = "lib.score.backends.onnx"
    file = descriptor_pb2.FileDescriptorProto(name="graph.proto", package=package, syntax="proto2")
    for name, fields in _FORMAT.items():
        message = file.message_type.add(name=name)
        for field, (number, repeats, kind) in fields.items():
            added = message.field.add(name=field, number=number)
            added.label = added.LABEL_REPEATED if repeats else added.LABEL_OPTIONAL
            if kind in _FORMAT:
                added.type, added.type_name = added.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                added.type = getattr(added, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Model"))
