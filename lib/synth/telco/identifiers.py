"""Makes customer identifiers like 7590-VHVEG: four digits and five letters, all different."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lib.errors import SettingsError

_LETTERS = np.array([chr(code) for code in range(ord("A"), ord("Z") + 1)], dtype="U1")
_WORDS = len(_LETTERS) ** 5
# The number of identifiers: 10,000 numbers with 26⁵ words each.
_ALL = 10_000 * _WORDS
# index → (index · step + shift) mod _ALL visits every identifier once, because the step shares no
# factor with _ALL (2, 5, 13). As it is near the golden section of _ALL, neighbours look unrelated.
_STEP = 73_431_046_547
# The product fits 64 bits up to this index.
MAX_INDEX = 2**63 // _STEP


def make_identifiers(index: npt.NDArray[np.int64], seed: int) -> npt.NDArray[Any]:
    """Make an identifier for each index; with one seed, different indexes give different ones.

    Args:
        index: the indexes, int64 [n_rows] in [0, :data:`MAX_INDEX`).
        seed: the seed, which shifts the sequence.

    Returns:
        The identifiers, object [n_rows] of str.

    Raises:
        SettingsError: an index is out of range.
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
