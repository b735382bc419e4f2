"""Exactly-once scoring of Kafka topics with Spark Structured Streaming.

``lib.inference_backend`` is the public face for loading models and scoring in process;
``lib.stream.plan`` holds the one plan that the stream, the batch replay and the tests share.
"""

__version__ = "0.1.0"
