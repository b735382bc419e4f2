"""Customer identifiers like 7590-VHVEG: four digits and five letters, all different."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lib.errors import SettingsError

_LETTERS = np.array([chr(code) for code in range(ord("A"), ord("Z") + 1)], dtype="U1")
_WORDS = len(_LETTERS) ** 5
# How many identifiers there are: 10,000 numbers with 26⁵ words each.
_ALL = 10_000 * _WORDS
# index → (index · step + shift) mod _ALL visits every identifier once, for the step shares no
# factor with _ALL (2, 5, 13). Near the golden section of it, neighbours look unrelated.
_STEP = 73_431_046_547
# Up to here the product fits 64 bits.
MAX_INDEX = 2**63 // _STEP


def make_identifiers(index: npt.NDArray[np.int64], seed: int) -> npt.NDArray[Any]:
    """One identifier for each index; different ones are never the same under one seed.

    Args:
        index: int64 [n_rows] in [0, :data:`MAX_INDEX`).
        seed: shifts the sequence.

    Returns:
        object [n_rows] of str.

    Raises:
        SettingsError: an index is beyond the range.
    """
    if len(index) and int(index.max()) >= MAX_INDEX:
        raise SettingsError(
            f"customer number {int(index.max())}: expected fewer than {MAX_INDEX}",
            hint="make fewer customers, or several lots with different seeds",
        )
    place = (index * _STEP % _ALL + seed * 1_000_003 % _ALL) % _ALL
    number, word = np.divmod(place, _WORDS)
    text = np.char.add(np.char.zfill(number.astype("U4"), 4), "-")
    for position in range(4, -1, -1):
        text = np.char.add(text, _LETTERS[word // len(_LETTERS) ** position % len(_LETTERS)])
    return text.astype(object)
