"""Numbered, checksummed model versions in a folder. Pure Python: no Spark, no scikit-learn."""

from lib.store.compatibility import installed_libraries
from lib.store.contract import read_version_contract
from lib.store.evidence import Probed
from lib.store.metadata import ModelMetadata
from lib.store.model_store import ModelStore
from lib.store.reference import ModelReference
from lib.store.version import ModelVersion

__all__ = [
    "ModelMetadata",
    "ModelReference",
    "ModelStore",
    "ModelVersion",
    "Probed",
    "installed_libraries",
    "read_version_contract",
]
