"""ONNX: a graph that onnxruntime evaluates."""
