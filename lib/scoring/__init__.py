"""Scoring backends: one file each; what they share is in ``base``."""

from lib.scoring.base import ModelBackend, ModelFileNotFoundError, ModelUnavailableError
from lib.scoring.jvm import SPARK_AVAILABLE
from lib.scoring.onnx import OnnxBackend
from lib.scoring.sklearn import SklearnBackend
from lib.scoring.spark import SparkBackend
from lib.scoring.sql import SqlBackend

__all__ = [
    "SPARK_AVAILABLE",
    "ModelBackend",
    "ModelFileNotFoundError",
    "ModelUnavailableError",
    "OnnxBackend",
    "SklearnBackend",
    "SparkBackend",
    "SqlBackend",
]
