"""Spells a message's key as text, and finds the keys that a text may mean. Pure."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress

_BASE64 = "base64:"
#: The forms of a key, for descriptions of settings.
KEYS = f"text, or {_BASE64}… for a key that is none or holds a comma"


def spell_key(key: bytes | None) -> str:
    r"""Spell a key: as text if all of it prints, otherwise in base64; empty for none.

    >>> spell_key(b"7590-VHVEG"), spell_key(b"\xff\x00"), spell_key(None)
    ('7590-VHVEG', 'base64:/wA=', '')
    """
    if key is None:
        return ""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        text = "\0"
    return text if text.isprintable() else f"{_BASE64}{base64.b64encode(key).decode()}"


def parse_key(text: str) -> frozenset[bytes]:
    """Find the keys that a text may mean: its own bytes, and those that it spells in base64."""
    found = {text.encode()}
    if text.startswith(_BASE64):
        with suppress(binascii.Error):  # then it is a text that begins in this way
            found.add(base64.b64decode(text.removeprefix(_BASE64), validate=True))
    return frozenset(found)
