"""Load a model and score with it: the face of :mod:`lib.score`.

    backend = load_model("sklearn", "models/NAME@champion")
    predictions, probabilities = predict(backend, {"gender": "Female", ...})

The streaming job scores with these same objects. Needs neither PySpark nor Kafka.
"""

from __future__ import annotations

from lib.score.backends.onnx.backend import OnnxBackend
from lib.score.backends.sklearn.backend import SklearnBackend
from lib.score.backends.spark.backend import SparkBackend
from lib.score.backends.sql.backend import SqlBackend
from lib.score.base import ModelBackend
from lib.score.jvm import SPARK_AVAILABLE
from lib.score.loading import Predictor, get_backend_info, load_model, predict

__all__ = [
    "SPARK_AVAILABLE",
    "ModelBackend",
    "OnnxBackend",
    "Predictor",
    "SklearnBackend",
    "SparkBackend",
    "SqlBackend",
    "get_backend_info",
    "load_model",
    "predict",
]

if __name__ == "__main__":
    from lib.score.sample import main

    raise SystemExit(main())
