"""Read the files of deploy/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # it ships no types

from lib.setup.places import PROJECT_ROOT

DEPLOY = PROJECT_ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
UNIT = DEPLOY / "systemd" / "churn-scoring.service"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"


def read_manifests(path: Path) -> list[dict[str, Any]]:
    """Return the documents of a YAML file; merges and aliases are resolved."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def read_manifest(kind: str) -> dict[str, Any]:
    """Return the only resource of a kind."""
    (found,) = (
        it
        for path in sorted(KUBERNETES.glob("*.yaml"))
        for it in read_manifests(path)
        if it["kind"] == kind
    )
    return found


def read_unit() -> dict[str, str]:
    """Return setting → value of the systemd unit; the last one where there are several."""
    pairs = re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE)
    return dict(pairs)


def list_instructions() -> list[tuple[str, str]]:
    """Return (instruction, its arguments in one line) of the Dockerfile, in order."""
    lines = [it for it in DOCKERFILE.read_text().splitlines() if not it.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.split(None, 1) for line in text.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, rest in pairs]
