"""Packs the Python environment for machines that have Python but none of its packages.

``python -m lib.tools.deploy.python_archive`` makes the archive and prints its path. It holds the
packages that are installed beside this interpreter, without tools for development, and a link to
the interpreter. So the machines need the same Python under the same path, as with venv-pack, which
packs a whole environment. ``docs/clusters.md`` says what to do for machines without one.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from lib.errors import SetupError
from lib.setup.places import BUILD_ROOT, PROJECT_ROOT
from lib.setup.whole_file import make_whole, remove_old

_PIN = re.compile(r"^([\w.-]+)==")
_TOOLS = frozenset({"pip", "setuptools", "wheel"})
# Spark sends its jars itself, and the tests of packages would be half of all files.
_LEFT_OUT = re.compile(
    r"pyspark/(jars|examples|data|python/test_support)/"
    r"|(ibis|numpy|pandas|pyarrow|scipy|sklearn)/(.*/)?tests/|onnx/backend/test/|pyarrow/include/"
)
# The packages are mostly machine code: a higher level would take a minute more to save a tenth.
_COMPRESSION = 1


def provide_archive() -> Path:
    """Pack the environment of this interpreter, unless that has been done.

    Archives of a week ago are removed.

    Raises:
        SetupError: this interpreter does not belong to a virtual environment.
    """
    if sys.prefix == sys.base_prefix:
        raise SetupError(f"{sys.executable} belongs to no virtual environment, so none is packed")
    packages = sorted(_list_distributions(), key=_describe)
    interpreter = [sys.version, os.path.realpath(sys.executable)]
    facts = "\n".join([*interpreter, _LEFT_OUT.pattern, *map(_describe, packages)])
    archive = BUILD_ROOT / f"python-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.tar.gz"
    if archive.is_file():
        archive.touch()
        return archive
    with (
        make_whole(archive) as fresh,
        tarfile.open(fresh, "w:gz", compresslevel=_COMPRESSION) as tar,
    ):
        _add_interpreter(tar)
        for package in packages:
            for path, name in _list_files(package):
                tar.add(path, name, recursive=False)
    remove_old(BUILD_ROOT, "python-*.tar.gz")
    return archive


def _list_distributions() -> Iterator[Distribution]:
    """Iterate over the installed packages, without tools and the project itself."""
    unwanted = _TOOLS | (_read_pins("dev.txt") - _read_pins("compiled.txt", "runtime.txt"))
    for package in distributions(path=[sysconfig.get_path("purelib")]):
        is_editable = package.read_text("direct_url.json") is not None
        if _normalize(package.metadata["Name"]) not in unwanted and not is_editable:
            yield package


def _read_pins(*names: str) -> set[str]:
    folder = PROJECT_ROOT / "requirements"
    lines = [line for name in names for line in (folder / name).read_text().splitlines()]
    return {_normalize(match[1]) for match in map(_PIN.match, lines) if match}


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _describe(package: Distribution) -> str:
    return f"{package.metadata['Name']}=={package.version}"


def _list_files(package: Distribution) -> Iterator[tuple[Path, str]]:
    """Iterate over (file, name in the archive), without scripts: they name this interpreter."""
    library = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    for file in package.files or ():
        path = Path(str(package.locate_file(file)))
        if ".." not in file.parts and not _LEFT_OUT.match(file.as_posix()) and path.is_file():
            yield path, f"{library}/{file.as_posix()}"


def _add_interpreter(tar: tarfile.TarFile) -> None:
    link = tarfile.TarInfo("bin/python")
    link.type = tarfile.SYMTYPE
    link.linkname = os.path.realpath(sys.executable)
    tar.addfile(link)
    text = f"home = {Path(link.linkname).parent}\ninclude-system-site-packages = false\n".encode()
    configuration = tarfile.TarInfo("pyvenv.cfg")
    configuration.size = len(text)
    tar.addfile(configuration, io.BytesIO(text))


if __name__ == "__main__":
    sys.stdout.write(f"{provide_archive()}\n")
