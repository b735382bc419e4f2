"""Encodes what a shadow answers: a prediction for each valid record, or why there is none.

The messages have the key, the headers and the position of the prediction for the same record, and
the same identifier, event time and processed time. Model, threshold and reasons are the shadow's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.decode.engines.arrow import DecodedBatch
from lib.encode.arrow import Parts, choose_label, join_parts, list_headers, list_model_parts
from lib.messages.columns import BINNED_SCHEMA, BINS, COUNTED_SCHEMA, MESSAGE_SCHEMA
from lib.messages.dead_letter import MessageSettings
from lib.messages.header_text import parse_chosen
from lib.messages.tally import Relation, spell_shadow
from lib.record.prediction import Part, are_positive

#: A label that nobody has given.
NO_LABEL = -1

Labels = npt.NDArray[np.int8]


@dataclass(frozen=True)
class ShadowScores:
    """The scores of a shadow for m records.

    Attributes:
        probabilities: float64 [m] in [0, 1]; NaN for none.
        errors: the class of the exception for which there is no probability: str [m], None where
            there is one.
    """

    probabilities: npt.NDArray[np.float64]
    errors: npt.NDArray[np.object_]


def find_labels(probabilities: npt.NDArray[np.float64], settings: MessageSettings) -> Labels:
    """Find labels as numbers: int8 [m], 1 for the positive one, :data:`NO_LABEL` for none."""
    labels = are_positive(probabilities, settings.threshold).astype(np.int8)
    return np.where((probabilities >= 0) & (probabilities <= 1), labels, np.int8(NO_LABEL))


def encode_shadow(
    records: pa.RecordBatch,
    decoded: DecodedBatch,
    scores: ShadowScores,
    settings: MessageSettings,
    parts: Parts,
    champion_labels: Labels,
) -> pa.RecordBatch:
    """Encode one message for each valid record, in their order.

    Args:
        records: n rows; see :func:`lib.encode.arrow.encode_batch`.
        decoded: the decoded values of the records.
        scores: the scores of the shadow for the m valid records.
        settings: the settings of the shadow's messages.
        parts: the parts that they have in common with the predictions for the same records; see
            :func:`lib.encode.arrow.list_record_parts`.
        champion_labels: the labels that the champion gave; see :func:`find_labels`.

    Returns:
        The messages: [m] of :data:`MESSAGE_SCHEMA`, or of :data:`COUNTED_SCHEMA` or
        :data:`BINNED_SCHEMA` if the settings say that they are counted or put into bins. They have
        neither times nor bins, so that each record counts once there.
    """
    valid = pa.array(decoded.valid)
    answered = records.filter(valid)
    output, count = settings.output, answered.num_rows
    columns = [
        pa.repeat(output.shadow_topic, count),
        answered["source_key"],
        _encode_values(decoded, scores, settings, parts),
        list_headers(parse_chosen(answered["source_headers"], output.carried_headers), count),
        *(answered[name] for name in ("source_topic", "source_partition", "source_offset")),
    ]
    if not output.is_counted:
        return pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA)
    columns += [_name_outcomes(scores, settings, champion_labels)]
    columns += [pa.nulls(count, pa.int64())] * 2
    if output.binning is None:
        return pa.RecordBatch.from_arrays(columns, schema=COUNTED_SCHEMA)
    columns.append(pa.nulls(count, BINNED_SCHEMA.field(BINS).type))
    return pa.RecordBatch.from_arrays(columns, schema=BINNED_SCHEMA)


def _encode_values(
    decoded: DecodedBatch, scores: ShadowScores, settings: MessageSettings, parts: Parts
) -> pa.BinaryArray:
    contract = settings.contract
    own = list_model_parts(decoded, scores.probabilities, settings)
    values = join_parts(contract, {**parts, **own})
    is_missing = np.isnan(scores.probabilities)
    if not is_missing.any():
        return values
    spelled = {it: json.dumps(it) for it in {*scores.errors} - {None}}
    errors = pa.array([spelled.get(it) for it in scores.errors], pa.string())
    nothing = {
        **parts,
        Part.PROBABILITY: "null",
        Part.LABEL: "null",
        Part.MODEL: own[Part.MODEL],
        Part.SHADOW_ERROR: errors,
    }
    return pc.if_else(pa.array(is_missing), join_parts(contract, nothing), values)


def _name_outcomes(
    scores: ShadowScores, settings: MessageSettings, champion_labels: Labels
) -> pa.StringArray:
    """Name the outcome of each message: [m]; see :func:`lib.messages.tally.spell_shadow`."""
    contract, model = settings.contract, settings.model_version

    def name(relation: Relation) -> pa.StringArray:
        labels = contract.positive_label, contract.negative_label
        spelled = (spell_shadow(model, relation, label) for label in labels)
        return choose_label(scores.probabilities, settings, *spelled)

    labels = find_labels(scores.probabilities, settings)
    same = pc.if_else(
        pa.array(labels == champion_labels), name(Relation.AGREES), name(Relation.DIFFERS)
    )
    named = pc.if_else(pa.array(champion_labels == NO_LABEL), name(Relation.ALONE), same)
    is_missing = labels == NO_LABEL
    if not is_missing.any():
        return named
    spelled = {it: spell_shadow(model, Relation.ERROR, it) for it in {*scores.errors} - {None}}
    errors = pa.array([spelled.get(it) for it in scores.errors], pa.string())
    return pc.if_else(pa.array(is_missing), errors, named)
