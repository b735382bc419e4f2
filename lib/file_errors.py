"""Says why a file or folder cannot be used: its path, the user, the device. Pure."""

from __future__ import annotations

import errno
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lib.errors import DiskFullError, FileError

_FULL = (errno.ENOSPC, errno.EDQUOT)
# A device with less room counts as full: a block that no file can take may be left.
_LEAST_BYTES = 64 * 1024
# An empty file says nothing about space, and some devices have room for one small file more.
_PROBE_BYTES = 64 * 1024
_MOUNTS = Path("/proc/self/mounts")
#: The words for a full device in messages of the JVM and of this module.
NO_SPACE = "No space left on device"


class Mount(NamedTuple):
    """The file system that holds a path: its device, and the folder where it is mounted."""

    device: str
    folder: str


def is_full(error: OSError) -> bool:
    """Tell whether an error says that a device is full."""
    return error.errno in _FULL


def build_file_error(error: OSError, path: str | os.PathLike[str] | None = None) -> FileError:
    """Build the error of one line for an error of the operating system.

    Args:
        error: the error.
        path: the path to name; None for the one that the error has. An error without any has to be
            that of a full device.
    """
    if path is None and error.filename is None:
        return DiskFullError("no space is left for the standard output, or for a temporary file")
    place = os.fsdecode(path or error.filename)
    mount = find_mount(place)
    at = f"{mount.device}, which is mounted at {mount.folder}" if mount else "its device"
    if is_full(error):
        return DiskFullError(
            f"{place}: no space is left on {at}", hint="free some space, or name another place"
        )
    if error.errno == errno.EROFS:
        return FileError(
            f"{place}: {at}, can only be read", hint="name another place, or mount it to be written"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return FileError(
            f"{place}: user {os.geteuid()} must not use it",
            hint="give the user of the job the right, or name another place",
        )
    return FileError(f"{place}: {error.strerror}")


@contextmanager
def naming_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors of the operating system in a block into errors that name a path.

    Args:
        path: the path to name; that of a full device has none of its own.

    Raises:
        FileError: a file cannot be used.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise build_file_error(error, path) from error


def check_folder(folder: Path) -> None:
    """Make sure that files can be written in a folder, which is made if it is missing.

    Raises:
        FileError: this user must not write there, or the device takes no file.
    """
    probe = folder / f".probe-{uuid.uuid4().hex}"
    with naming_file(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error
        try:
            probe.write_bytes(b"\0" * _PROBE_BYTES)
        finally:
            probe.unlink(missing_ok=True)


def look_at_folder(folder: Path) -> None:
    """Make sure that this user may write in a folder, or make it, without writing anything.

    Raises:
        FileError: this user must not write there, or the device can only be read.
    """
    nearest = find_existing(folder)
    if not nearest.is_dir():
        raise build_file_error(OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)), nearest)
    if os.statvfs(nearest).f_flag & os.ST_RDONLY:
        raise build_file_error(OSError(errno.EROFS, os.strerror(errno.EROFS)), nearest)
    by_effective_user = os.access in os.supports_effective_ids
    if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=by_effective_user):
        raise build_file_error(OSError(errno.EACCES, os.strerror(errno.EACCES)), nearest)


def measure_free_bytes(path: Path) -> int:
    """Measure how many bytes are free on the device of a path, which need not exist.

    Raises:
        FileError: the device does not tell.
    """
    with naming_file(path):
        room = os.statvfs(find_existing(path))
    return room.f_bavail * room.f_frsize


def find_local_path(place: str) -> str | None:
    """Return the path of a local file, which may be a URL; None if it is on another file system."""
    scheme, colon, rest = place.partition(":")
    if scheme == "file":
        return re.sub("^//+", "/", rest)
    return None if colon and "/" not in scheme else place


def find_mount(path: str) -> Mount | None:
    """Find the file system that holds a path, which need not exist; None if that is not known."""
    real = os.path.realpath(path)
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    found = None
    for line in lines:
        device, folder = (_unescape(word) for word in line.split(" ")[:2])
        inside = real == folder or real.startswith(f"{folder.rstrip('/')}/")
        # The later one of two mounts at one folder hides the other.
        if inside and (found is None or len(folder) >= len(found.folder)):
            found = Mount(device, folder)
    return found


def find_full(paths: Sequence[str]) -> list[str]:
    """Describe those of the paths whose devices are full, by path and device.

    Args:
        paths: paths of the local file system, which need not exist.
    """
    full = []
    for path in paths:
        try:
            room = os.statvfs(find_existing(Path(path)))
        except OSError:
            continue
        mount = find_mount(path)
        bytes_left = room.f_bavail * room.f_frsize
        # Some file systems do not count their files.
        is_full = bytes_left < _LEAST_BYTES or (room.f_files > 0 and room.f_favail == 0)
        if mount is not None and is_full:
            full.append(f"{path} on {mount.device}, which is mounted at {mount.folder}")
    return full


def find_existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    absolute = path.absolute()
    return next((it for it in (absolute, *absolute.parents) if it.exists()), Path("/"))


def _unescape(word: str) -> str:
    r"""Read a word of /proc/self/mounts, where a space is ``\040``."""
    for octal, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        word = word.replace(f"\\{octal}", character)
    return word
