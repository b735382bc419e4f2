"""Draws seeded synthetic customers.

Rows are drawn in blocks of :data:`BLOCK_ROWS`, each from its own random generator, so that row
``i`` depends only on the seed and ``i``, and not on the number of rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.synth.telco import tables
from lib.synth.telco.identifiers import make_identifiers

BLOCK_ROWS = 8_192

Column = npt.NDArray[Any]  # [n_rows]
Columns = dict[str, Column]


def make_customers(count: int, seed: int, *, first: int = 0) -> pd.DataFrame:
    """Draw customers.

    Args:
        count: the number of customers; 0 gives an empty frame.
        seed: an integer from 0; the same seed gives the same customers.
        first: the index of the first customer, to continue after an earlier call.

    Returns:
        A frame like the CSV file, with a row for each customer: the columns of
        :data:`tables.COLUMNS`.
        TotalCharges is text, " " in month 0. The index counts from ``first``.
    """
    blocks = list(iter_customers(count, seed, first=first))
    return pd.concat(blocks) if blocks else _draw_block(seed, 0).iloc[:0]


def iter_customers(count: int, seed: int, *, first: int = 0) -> Iterator[pd.DataFrame]:
    """Yield the rows of :func:`make_customers` in frames of at most :data:`BLOCK_ROWS`."""
    end = first + count
    for block in range(first // BLOCK_ROWS, -(-end // BLOCK_ROWS)):
        start = block * BLOCK_ROWS
        yield _draw_block(seed, block).iloc[max(first - start, 0) : end - start]


def _draw_block(seed: int, block: int) -> pd.DataFrame:
    """Draw all rows of one block."""
    rng = np.random.Generator(np.random.PCG64([seed, block]))
    index = np.arange(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS)
    drawn = _draw_person(rng)
    drawn |= _draw_services(rng, drawn)
    drawn |= _draw_charges(rng, drawn)
    drawn["customerID"] = make_identifiers(index, seed)
    drawn["Churn"] = _draw_churn(rng, drawn)
    columns = {name: drawn[name] for name in tables.COLUMNS}
    return pd.DataFrame(columns, index=pd.Index(index))


def _draw_person(rng: np.random.Generator) -> Columns:
    senior = (rng.random(BLOCK_ROWS) < tables.SENIOR).astype(np.int64)
    gender = _choose(rng, tables.GENDER)
    partner = _choose(rng, tables.PARTNER)
    dependents = _choose_given(rng, tables.DEPENDENTS, partner, senior)
    return {
        "SeniorCitizen": senior,
        "gender": gender,
        "Partner": partner,
        "Dependents": dependents,
    }


def _draw_services(rng: np.random.Generator, drawn: Columns) -> Columns:
    internet = _choose_given(
        rng, tables.INTERNET_SERVICE, drawn["SeniorCitizen"], drawn["Dependents"]
    )
    phone = _choose_given(rng, tables.PHONE_SERVICE, internet)
    contract = _choose_given(rng, tables.CONTRACT, internet, drawn["Partner"])
    tenure = _draw_tenure(rng, contract, internet)
    services: Columns = {
        "InternetService": internet,
        "PhoneService": phone,
        "Contract": contract,
        "tenure": tenure,
        "PaperlessBilling": _choose_given(rng, tables.PAPERLESS_BILLING, internet),
        "PaymentMethod": _choose_given(rng, tables.PAYMENT_METHOD, internet, tenure > 12),
    }
    for name, add_on in tables.ADD_ONS.items():
        services[name] = _draw_add_on(rng, add_on, services)
    return services


def _draw_add_on(rng: np.random.Generator, add_on: tables.AddOn, services: Columns) -> Column:
    logit = add_on.per_year * services["tenure"] / 12
    for value, weight in add_on.by_internet.items():
        logit += weight * (services["InternetService"] == value)
    for value, weight in add_on.by_contract.items():
        logit += weight * (services["Contract"] == value)
    if add_on.with_television:
        logit += add_on.with_television * (services["StreamingTV"] == "Yes")
    chosen = np.where(_occurs(rng, logit), "Yes", "No").astype(object)
    return np.where(services[add_on.line] == "No", add_on.without, chosen)


def _draw_tenure(rng: np.random.Generator, contract: Column, internet: Column) -> Column:
    """Draw the tenure in months: int64 [n_rows]."""
    bands = {
        key: dict(zip(range(len(shares)), np.divide(shares, sum(shares)), strict=True))
        for key, shares in tables.TENURE.items()
    }
    band = _choose_given(rng, bands, contract, internet).astype(np.int64)
    first, last = np.array(tables.TENURE_BANDS).T
    months: Column = rng.integers(first[band], last[band], endpoint=True)
    return months


def _draw_charges(rng: np.random.Generator, drawn: Columns) -> Columns:
    """Draw MonthlyCharges in USD a month, and TotalCharges in USD as text."""
    price = np.zeros(BLOCK_ROWS)
    for (name, value), amount in tables.PRICES.items():
        price += amount * (drawn[name] == value)
    spread = np.vectorize(tables.PRICE_SPREAD.__getitem__)(drawn["InternetService"])
    monthly = np.maximum(price + spread * rng.standard_normal(BLOCK_ROWS), tables.PRICE_STEP)
    monthly = np.round(np.round(monthly / tables.PRICE_STEP) * tables.PRICE_STEP, 2)
    tenure = drawn["tenure"]
    # The relative spread of a sum of monthly charges falls with the root of their number. The first
    # month is the current one. A sum is between half and twice the product of months and charge.
    spread = np.where(tenure > 1, tables.PAST_CHARGE_SPREAD / np.sqrt(np.maximum(tenure, 1)), 0)
    past = np.clip(1 + spread * rng.standard_normal(BLOCK_ROWS), 0.5, 2.0)
    total = np.round(tenure * monthly * past, 2)
    text = [
        repr(value) if month else " " for value, month in zip(total.tolist(), tenure, strict=True)
    ]
    return {"MonthlyCharges": monthly, "TotalCharges": np.array(text, dtype=object)}


def _draw_churn(rng: np.random.Generator, drawn: Columns) -> Column:
    logit = np.interp(drawn["tenure"], *tables.CHURN_BY_TENURE)
    logit += tables.CHURN_LOGIT_SENIOR * drawn["SeniorCitizen"]
    for (name, value), weight in tables.CHURN_LOGITS.items():
        logit += weight * (drawn[name] == value)
    return np.where(_occurs(rng, logit), "Yes", "No").astype(object)


def _occurs(rng: np.random.Generator, logit: Column) -> Column:
    """Draw true with the probability that has these log odds: bool [n_rows]."""
    return rng.random(len(logit)) < 1 / (1 + np.exp(-logit))


def _choose(rng: np.random.Generator, chances: Mapping[str, float]) -> Column:
    return _choose_given(rng, {(): chances})


def _choose_given(
    rng: np.random.Generator,
    table: Mapping[Any, Mapping[Any, float]],
    *conditions: Column,
) -> Column:
    """Draw a value for each row from the table's entry for its conditions: object [n_rows]."""
    uniform = rng.random(BLOCK_ROWS)
    chosen = np.empty(BLOCK_ROWS, dtype=object)
    for key, chances in table.items():
        rows = _where(conditions, key)
        values = np.array(list(chances), dtype=object)
        limits = np.cumsum(list(chances.values()))[:-1]
        chosen[rows] = values[np.searchsorted(limits, uniform[rows], side="right")]
    return chosen


def _where(conditions: tuple[Column, ...], key: tuple[Hashable, ...]) -> Column:
    """Tell where all conditions have the key's values: bool [n_rows]."""
    rows = np.ones(BLOCK_ROWS, dtype=np.bool_)
    for condition, value in zip(conditions, key, strict=True):
        rows &= condition == value
    return rows
