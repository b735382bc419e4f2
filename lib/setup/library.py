"""Packs the folder ``lib`` into a zip, which spark-submit gives to the driver and the executors."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from lib.setup.places import BUILD_ROOT, PACKAGE
from lib.setup.whole_file import make_whole, need_written_folder, remove_old


@need_written_folder()
def provide_library() -> Path:
    """Pack ``lib``, unless that has been done, and remove the zips of a week ago.

    The zip is named after its contents, so that a running job keeps the one that it was started
    with.

    Raises:
        SetupError: the zip is missing and nobody may write it here.
    """
    sources = sorted(PACKAGE.rglob("*.py"))
    names = [str(path.relative_to(PACKAGE.parent)) for path in sources]
    contents = [path.read_bytes() for path in sources]
    digest = hashlib.sha256()
    for name, content in zip(names, contents, strict=True):
        digest.update(f"{name} {len(content)} ".encode() + content)
    library = BUILD_ROOT / f"lib-{digest.hexdigest()[:16]}.zip"
    if library.is_file():
        return library
    with make_whole(library) as fresh, zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in zip(names, contents, strict=True):
            archive.writestr(name, content)
    remove_old(BUILD_ROOT, "lib-*.zip")
    return library
