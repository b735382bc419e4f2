"""Scoring backends: one file each; what they share is in ``base``."""

from lib.scoring.base import ModelBackend, ModelFileNotFoundError, ModelUnavailableError
from lib.scoring.sklearn import SklearnBackend
from lib.scoring.spark import SPARK_AVAILABLE, SparkBackend

__all__ = [
    "SPARK_AVAILABLE",
    "ModelBackend",
    "ModelFileNotFoundError",
    "ModelUnavailableError",
    "SklearnBackend",
    "SparkBackend",
]
