"""Parses the name of a model on a command line: ``NAME@champion``, ``NAME@3`` or a path."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lib.errors import SettingsError

CHAMPION = "champion"
# A name becomes a folder, so it has no separators, no leading dot and no "..".
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# Nine digits are enough for a billion versions, and short enough for the name of a folder.
VERSION = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class ModelReference:
    """A parsed reference: either a name with a version, or a path.

    Attributes:
        name: the name of the model in a store; empty for a path.
        version: the number of the version; None stands for the champion.
        store: the store's folder if the text names one, as ``models/NAME@3`` does.
        path: the path of a file or folder, if the text is no name.
    """

    name: str = ""
    version: int | None = None
    store: Path | None = None
    path: Path | None = None

    @classmethod
    def parse(cls, text: str | os.PathLike[str]) -> ModelReference:
        """Parse ``NAME@champion`` or ``NAME@VERSION``, either behind ``FOLDER/``, or a path.

        A path whose last part itself looks like ``NAME@VERSION`` needs a slash at its end.

        Raises:
            SettingsError: the text is empty, or has an ``@`` but no valid name or version.
        """
        raw = os.fspath(text)
        if not raw or "\0" in raw:
            raise SettingsError(
                f"model reference {raw!r} names nothing",
                hint="give NAME@champion, NAME@VERSION or a path",
            )
        folder, slash, last = raw.rpartition("/")
        name, at, version = last.rpartition("@")
        if at and is_name(name) and (version == CHAMPION or VERSION.fullmatch(version)):
            return cls(
                name=name,
                version=None if version == CHAMPION else int(version),
                store=Path(folder or "/") if slash else None,
            )
        if at and not slash and not Path(version).suffix[1:].isalpha():
            raise SettingsError(
                f"model reference {raw!r}: expected NAME@champion or NAME@VERSION with a name of "
                "letters, digits, '_', '-' and '.', and a version from 1",
                hint="a path that contains '@' starts with './'",
            )
        return cls(path=Path(raw))

    def __str__(self) -> str:
        """Return the text that parses to this reference."""
        if self.path is not None:
            text = str(self.path)
            if "@" in self.path.name and "/" not in text:
                text = f"./{text}"
            name, at, version = self.path.name.rpartition("@")
            ambiguous = at and is_name(name) and (version == CHAMPION or VERSION.fullmatch(version))
            return f"{text}/" if ambiguous else text
        last = f"{self.name}@{CHAMPION if self.version is None else self.version}"
        return last if self.store is None else f"{str(self.store).rstrip('/')}/{last}"


def is_url(text: str) -> bool:
    """Tell whether a text is a URL like ``s3a://bucket/model``, and no path or name."""
    return "://" in text


def is_name(text: str) -> bool:
    """Tell whether a model may have this name."""
    return NAME.fullmatch(text) is not None and ".." not in text
