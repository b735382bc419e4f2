"""The ONNX backend, whose graph onnxruntime evaluates."""
