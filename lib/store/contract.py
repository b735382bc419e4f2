"""Reads the contract of a stored version, which describes the records that it scores."""

from __future__ import annotations

from lib.errors import ContractError, ModelCorruptError, ModelMismatchError
from lib.record.contract import Contract
from lib.record.contract_file import parse_contract, read_contract
from lib.setup.places import CONF
from lib.store.version import CONTRACT_ARTEFACT, ModelVersion

#: The folder of delivered contracts.
CONTRACTS = CONF / "contracts"


def read_version_contract(version: ModelVersion) -> Contract:
    """Read the contract that a version carries.

    Older versions hold only the contract's fingerprint; for them it is looked up among the
    delivered contracts.

    Raises:
        ModelCorruptError: the version's contract is not the one that was saved.
        ModelMismatchError: the version carries no contract, and none with its fingerprint is known.
    """
    if not version.has(CONTRACT_ARTEFACT):
        return _find_known(version)
    path = version.path / CONTRACT_ARTEFACT
    text = version.read_artefact(path).decode(errors="replace")
    try:
        contract = parse_contract(text, str(path))
    except ContractError as error:
        raise ModelCorruptError(error.message) from error
    if contract.fingerprint != version.metadata.contract_fingerprint:
        raise ModelCorruptError(
            f"{path}: found a contract with the fingerprint {contract.fingerprint}, expected"
            f" {version.metadata.contract_fingerprint}, as the metadata say"
        )
    return contract


def _find_known(version: ModelVersion) -> Contract:
    wanted = version.metadata.contract_fingerprint
    for path in sorted(CONTRACTS.glob("*.toml")):
        contract = read_contract(path)
        if contract.fingerprint == wanted:
            return contract
    raise ModelMismatchError(
        f"{version.reference}: found no {CONTRACT_ARTEFACT} in it, and none in {CONTRACTS} with its"
        f" contract's fingerprint {wanted}",
        hint="train a new version with jobs/train.py: versions carry their contracts now",
    )
