"""Checks that a saved model fits the installed libraries and the contract."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from lib.errors import ModelMismatchError
from lib.record.contract import Contract
from lib.store.metadata import ModelMetadata

# The distributions whose versions are recorded with a model.
RECORDED_LIBRARIES = (
    *("joblib", "numpy", "pandas", "pyarrow", "pyspark", "scikit-learn"),
    *("onnx", "onnxruntime", "orbital", "skl2onnx", "sqlglot"),
)


def installed_libraries() -> dict[str, str]:
    """Find distribution → installed version, for the recorded ones that are installed."""
    found = {name: _installed_version(name) for name in RECORDED_LIBRARIES}
    return {name: number for name, number in found.items() if number is not None}


def check_library(metadata: ModelMetadata, library: str, *, installed: str | None = None) -> None:
    """Refuse a model that was saved under another minor version of ``library``.

    Neither scikit-learn nor Spark promises that a model saved by one minor version means the same
    to the next; patch releases are compatible.

    Args:
        metadata: the metadata of the model version; other libraries than it names are not checked.
        library: the distribution, such as "scikit-learn".
        installed: the installed version; looked up by default.

    Raises:
        ModelMismatchError: the versions differ; the error names both.
    """
    saved = metadata.libraries.get(library)
    if saved is not None:
        name = f"{metadata.name}@{metadata.version}"
        refuse_other_minor(name, library, saved, installed=installed)


def refuse_other_minor(
    name: str, library: str, saved: str, *, installed: str | None = None
) -> None:
    """Refuse a model that another minor version of a library has saved; see :func:`check_library`.

    Args:
        name: the name of the model, for messages.
        library: the distribution.
        saved: the version that has saved the model.
        installed: the installed version; looked up by default.

    Raises:
        ModelMismatchError: the versions differ; the error names both.
    """
    installed = installed or _installed_version(library)
    if installed is None or _minor(saved) == _minor(installed):
        return
    raise ModelMismatchError(
        f"{name}: found {library} {installed} installed, "
        f"expected {_minor(saved)}.x: the model was saved by {saved}",
        hint=f"install {library} {_minor(saved)}.x, or train a new version with jobs/train.py",
    )


def check_contract(metadata: ModelMetadata, contract: Contract) -> None:
    """Refuse a model that was trained on another contract.

    Raises:
        ModelMismatchError: the fingerprints differ; the error names both.
    """
    if metadata.contract_fingerprint != contract.fingerprint:
        raise ModelMismatchError(
            f"{metadata.name}@{metadata.version}: found contract fingerprint "
            f"{metadata.contract_fingerprint}, expected {contract.fingerprint} ({contract.name})",
            hint="train a new version with jobs/train.py, or name one of this contract "
            "with --model",
        )


def _installed_version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _minor(text: str) -> str:
    return ".".join(text.split(".")[:2])
