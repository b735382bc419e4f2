"""Puts sampled records into bins with Spark expressions, like ``bins.py`` in Python workers."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from lib.drift import sample
from lib.drift.bins import BinKind, Bins
from lib.drift.profile import Binning
from lib.spark.quoting import quote


def bins_expr(binning: Binning, model_version: str, is_prediction: Column) -> Column:
    """Build the column of bins; see :data:`lib.messages.columns.BINS`.

    Only sampled records are put into bins: the others cost a multiplication.

    Args:
        binning: the profile, and how many records are sampled.
        model_version: the model and the backend that score.
        is_prediction: whether the record is answered by a prediction.
    """
    if binning.profile is None or binning.model_version != model_version:
        return F.lit(None).cast("binary")
    profile = binning.profile
    places = [place_expr(bins, F.col(quote(bins.name))) for bins in profile.features]
    places.append(place_expr(profile.score, F.col("probability")))
    # Spark has no expression for a byte of a number, so each byte is cut from all of them.
    alphabet = F.lit(bytes(range(256)))
    key = F.lit(profile.make_key(model_version))
    written = F.concat(key, *(F.substring(alphabet, place + 1, F.lit(1)) for place in places))
    return F.when(is_prediction & sampled_expr(binning.sample), written)


def sampled_expr(every: int) -> Column:
    """Build what :func:`lib.drift.sample.are_sampled` tells."""
    masked = F.col("source_offset").bitwiseAND(F.lit(sample.OFFSET_MASK))
    hashed = F.shiftright(masked * F.lit(sample.MULTIPLIER), sample.SHIFT)
    return hashed.bitwiseAND(F.lit(sample.SCALE - 1)) < sample.find_bound(every)


def place_expr(bins: Bins, value: Column) -> Column:
    """Build the bin of a value: an integer."""
    if bins.kind is BinKind.VALUE:
        listed = F.array(*map(F.lit, bins.values)).cast("array<string>")
        at = F.array_position(listed, value).cast("int")
        place = F.when(at > 0, at - 1).otherwise(F.lit(len(bins.values)))
    else:
        number = F.length(value) if bins.kind is BinKind.LENGTH else value
        above = [(number > F.lit(edge)).cast("int") for edge in bins.edges]
        place = reduce(lambda a, b: a + b, above, F.lit(0))
    is_missing = value.isNull()
    if bins.kind in (BinKind.NUMBER, BinKind.BOOLEAN):
        is_missing |= F.isnan(value.cast("double"))
    return F.when(is_missing, F.lit(bins.missing)).otherwise(place)
