"""Exactly-once scoring of Kafka topics with Spark Structured Streaming.

``lib.inference_backend`` is the public face for loading models and scoring in process;
``lib.stream.plan`` holds the one plan that the stream, the batch replay and the tests share.
"""

import os

__version__ = "0.1.0"

# onnxruntime reports to its maker, and writes an identifier below the home folder, unless this is
# set before it is imported. Every process of ours imports this package first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
