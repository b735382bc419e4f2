"""Refuses files of a store that other users may write: who can write a model can run code.

Writing is allowed to the owner of a file, whoever that is, and to root. A group may write if nobody
but the owner can be in it: the private group that many systems make for each user (whose umask is
002 then), the group of root, and a group that no account of this machine has and that this process
itself is in, which is how Kubernetes gives volumes to a pod (``fsGroup``).
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

from lib.errors import ModelNotTrustedError
from lib.file_errors import naming_file

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# A process in a container finds one of these files, or this variable.
_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")
_CONTAINER_VARIABLE = "KUBERNETES_SERVICE_HOST"
# The number of paths that the command of a message names.
_MAX_NAMED = 20


def refuse_if_others_write(root: Path, paths: Iterable[Path]) -> None:
    """Refuse files and folders that users other than their owners may write.

    The folders above the store count too, because who can rename them can put another store in its
    place. Folders with a sticky bit, such as /tmp, may be written by all. In a container the
    folders above are passed over: only its own processes see them, and volumes are often open to
    all.

    Args:
        root: the folder of the store.
        paths: files and folders in it that exist.

    Raises:
        ModelNotTrustedError: others may write; the error names the first path and the command.
        FileError: a path cannot be looked at.
    """
    root = root.resolve()
    found = [(path, who) for path in paths if (who := _find_writers(path))]
    above = [root] if _is_in_container() else [root, *root.parents]
    found += [(path, who) for path in above if (who := _find_writers(path, may_be_sticky=True))]
    if found:
        path, who = found[0]
        listed = " ".join(shlex.quote(str(it)) for it, _ in found[:_MAX_NAMED])
        raise ModelNotTrustedError(
            f"{path}: {who} may write it, and so run code in whoever loads a model from there",
            hint=f"run chmod go-w {listed}",
        )


def close_to_others(folder: Path) -> None:
    """Take from others the right to write below a folder that this process has just made."""
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        if not stat.S_ISLNK(status.st_mode) and _find_others(status) is not None:
            path.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)


def _find_writers(path: Path, *, may_be_sticky: bool = False) -> str | None:
    with naming_file(path):
        status = path.stat()
    if may_be_sticky and status.st_mode & stat.S_ISVTX:
        return None
    return _find_others(status)


def _is_in_container() -> bool:
    return _CONTAINER_VARIABLE in os.environ or any(map(os.path.exists, _CONTAINER_FILES))


def _find_others(status: os.stat_result) -> str | None:
    """Describe the users other than the owner who may write; None if there are none."""
    if status.st_mode & stat.S_IWOTH:
        return "everybody"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid, status.st_uid):
        return f"group {_name_group(status.st_gid)}"
    return None


def _is_private(group: int, owner: int) -> bool:
    try:
        found = grp.getgrgid(group)
    except KeyError:
        return group in (os.getegid(), *os.getgroups())
    if group == 0:
        return {*found.gr_mem} <= {"root", _name_user(owner)}
    return found.gr_name == _name_user(owner) and {*found.gr_mem} <= {found.gr_name}


def _name_user(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _name_group(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)
