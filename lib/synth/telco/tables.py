"""The tables that the synthetic customers are drawn from.

They are rounded counts, prices and logistic regressions of the public IBM Telco customer churn data
set. A table of chances holds a number for each value of a field: a probability, or an addition to
the log odds of a "Yes". If a table depends on other fields, their values are its keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Chances = Mapping[str, float]

#: The columns of a customer, in the order of the data set.
COLUMNS = (
    *("customerID", "gender", "SeniorCitizen", "Partner", "Dependents", "tenure", "PhoneService"),
    *("MultipleLines", "InternetService", "OnlineSecurity", "OnlineBackup", "DeviceProtection"),
    *("TechSupport", "StreamingTV", "StreamingMovies", "Contract", "PaperlessBilling"),
    *("PaymentMethod", "MonthlyCharges", "TotalCharges", "Churn"),
)

# ---- who the customer is

SENIOR = 0.162

GENDER: Chances = {"Female": 0.497, "Male": 0.503}
PARTNER: Chances = {"No": 0.517, "Yes": 0.483}

# Partner, SeniorCitizen
DEPENDENTS: Mapping[tuple[str, int], Chances] = {
    ("No", 0): {"No": 0.889, "Yes": 0.111},
    ("No", 1): {"No": 0.985, "Yes": 0.015},
    ("Yes", 0): {"No": 0.409, "Yes": 0.591},
    ("Yes", 1): {"No": 0.855, "Yes": 0.145},
}

# ---- what the customer has

# SeniorCitizen, Dependents
INTERNET_SERVICE: Mapping[tuple[int, str], Chances] = {
    (0, "No"): {"DSL": 0.357, "Fiber optic": 0.431, "No": 0.212},
    (0, "Yes"): {"DSL": 0.385, "Fiber optic": 0.299, "No": 0.316},
    (1, "No"): {"DSL": 0.214, "Fiber optic": 0.740, "No": 0.046},
    (1, "Yes"): {"DSL": 0.290, "Fiber optic": 0.694, "No": 0.016},
}

# InternetService. A customer has at least one of the two lines, and fiber comes with a phone.
PHONE_SERVICE: Mapping[tuple[str], Chances] = {
    ("DSL",): {"No": 0.280, "Yes": 0.720},
    ("Fiber optic",): {"No": 0.0, "Yes": 1.0},
    ("No",): {"No": 0.0, "Yes": 1.0},
}

# InternetService, Partner
CONTRACT: Mapping[tuple[str, str], Chances] = {
    ("DSL", "No"): {"Month-to-month": 0.659, "One year": 0.206, "Two year": 0.135},
    ("DSL", "Yes"): {"Month-to-month": 0.342, "One year": 0.269, "Two year": 0.389},
    ("Fiber optic", "No"): {"Month-to-month": 0.810, "One year": 0.114, "Two year": 0.076},
    ("Fiber optic", "Yes"): {"Month-to-month": 0.562, "One year": 0.227, "Two year": 0.211},
    ("No", "No"): {"Month-to-month": 0.497, "One year": 0.234, "Two year": 0.269},
    ("No", "Yes"): {"Month-to-month": 0.199, "One year": 0.261, "Two year": 0.540},
}

# The first and last month of each band of tenure; within a band all months are equally likely.
TENURE_BANDS = (
    *((0, 0), (1, 1), (2, 3), (4, 6), (7, 12), (13, 24)),
    *((25, 36), (37, 48), (49, 60), (61, 68), (69, 71), (72, 72)),
)

# Contract, InternetService → about per mille of each band
TENURE: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("Month-to-month", "DSL"): (0, 167, 122, 122, 154, 189, 112, 76, 50, 8, 0, 0),
    ("Month-to-month", "Fiber optic"): (0, 113, 89, 83, 147, 198, 135, 101, 89, 37, 7, 0),
    ("Month-to-month", "No"): (0, 306, 134, 131, 161, 158, 80, 27, 0, 3, 0, 0),
    ("One year", "DSL"): (0, 5, 2, 5, 55, 138, 192, 230, 228, 100, 45, 0),
    ("One year", "Fiber optic"): (0, 0, 0, 0, 11, 41, 111, 177, 307, 234, 90, 30),
    ("One year", "No"): (4, 11, 38, 38, 126, 252, 198, 137, 122, 57, 11, 4),
    ("Two year", "DSL"): (4, 0, 2, 2, 7, 37, 46, 85, 177, 245, 188, 206),
    ("Two year", "Fiber optic"): (0, 0, 0, 0, 0, 0, 23, 52, 120, 218, 256, 331),
    ("Two year", "No"): (10, 5, 2, 16, 42, 96, 103, 153, 181, 171, 117, 101),
}

PAPERLESS_BILLING: Mapping[tuple[str], Chances] = {  # InternetService
    ("DSL",): {"No": 0.452, "Yes": 0.548},
    ("Fiber optic",): {"No": 0.225, "Yes": 0.775},
    ("No",): {"No": 0.709, "Yes": 0.291},
}

# InternetService, whether beyond the first year
PAYMENT_METHOD: Mapping[tuple[str, bool], Chances] = {
    (internet, beyond): dict(
        zip(
            (
                *("Bank transfer (automatic)", "Credit card (automatic)"),
                *("Electronic check", "Mailed check"),
            ),
            chances,
            strict=True,
        )
    )
    for internet, beyond, chances in (
        ("DSL", False, (0.123, 0.119, 0.387, 0.371)),
        ("DSL", True, (0.290, 0.305, 0.213, 0.192)),
        ("Fiber optic", False, (0.103, 0.086, 0.668, 0.143)),
        ("Fiber optic", True, (0.265, 0.237, 0.435, 0.063)),
        ("No", False, (0.124, 0.113, 0.096, 0.667)),
        ("No", True, (0.271, 0.257, 0.069, 0.403)),
    )
}


@dataclass(frozen=True)
class AddOn:
    """The log odds that a customer has a service which needs one of the lines.

    Attributes:
        line: the field of that line.
        without: the value without that line.
        by_internet, by_contract: the addition for a value of InternetService and of Contract; 0 for
            values that are absent.
        per_year: the addition for each year of tenure.
        with_television: the addition for customers who stream television.
    """

    line: str
    without: str
    by_internet: Chances
    by_contract: Chances
    per_year: float
    with_television: float = 0.0


def _phone_add_on(
    none: float, dsl: float, fiber: float, one_year: float, two_year: float, per_year: float
) -> AddOn:
    return AddOn(
        "PhoneService",
        "No phone service",
        {"No": none, "DSL": dsl, "Fiber optic": fiber},
        {"One year": one_year, "Two year": two_year},
        per_year,
    )


def _internet_add_on(
    dsl: float, fiber: float, one_year: float, two_year: float, per_year: float, tv: float = 0.0
) -> AddOn:
    return AddOn(
        "InternetService",
        "No internet service",
        {"DSL": dsl, "Fiber optic": fiber},
        {"One year": one_year, "Two year": two_year},
        per_year,
        tv,
    )


# The order matters: films are drawn after television, on which they depend.
ADD_ONS: Mapping[str, AddOn] = {
    "MultipleLines": _phone_add_on(-2.43, -1.55, -0.54, -0.54, -0.34, 0.46),
    "OnlineSecurity": _internet_add_on(-1.23, -2.13, 0.57, 1.08, 0.28),
    "OnlineBackup": _internet_add_on(-1.42, -1.51, 0.06, 0.13, 0.42),
    "DeviceProtection": _internet_add_on(-1.59, -1.30, 0.72, 1.38, 0.27),
    "TechSupport": _internet_add_on(-1.13, -1.95, 0.86, 1.91, 0.16),
    "StreamingTV": _internet_add_on(-1.50, -0.60, 0.54, 0.93, 0.24),
    "StreamingMovies": _internet_add_on(-1.77, -1.17, 0.30, 0.50, 0.19, tv=1.52),
}

# ---- what the customer pays, USD/month

PRICES: Mapping[tuple[str, str], float] = {
    ("PhoneService", "Yes"): 20.0,
    ("InternetService", "DSL"): 25.0,
    ("InternetService", "Fiber optic"): 50.0,
    ("MultipleLines", "Yes"): 5.0,
    ("OnlineSecurity", "Yes"): 5.0,
    ("OnlineBackup", "Yes"): 5.0,
    ("DeviceProtection", "Yes"): 5.0,
    ("TechSupport", "Yes"): 5.0,
    ("StreamingTV", "Yes"): 10.0,
    ("StreamingMovies", "Yes"): 10.0,
}
PRICE_STEP = 0.05
# The standard deviation of the charge around the list price, by InternetService.
PRICE_SPREAD = {"DSL": 1.1, "Fiber optic": 1.1, "No": 0.55}
# The relative standard deviation of one past month's charge around the current one.
PAST_CHARGE_SPREAD = 0.2

# ---- whether the customer leaves: log odds

CHURN_LOGITS: Mapping[tuple[str, str], float] = {
    ("Partner", "Yes"): 0.07,
    ("PhoneService", "Yes"): -0.41,
    ("MultipleLines", "Yes"): 0.31,
    ("InternetService", "Fiber optic"): 0.89,
    ("InternetService", "No"): -0.94,
    ("OnlineSecurity", "Yes"): -0.34,
    ("OnlineBackup", "Yes"): -0.14,
    ("DeviceProtection", "Yes"): 0.07,
    ("TechSupport", "Yes"): -0.32,
    ("StreamingTV", "Yes"): 0.21,
    ("StreamingMovies", "Yes"): 0.38,
    ("Contract", "One year"): -0.71,
    ("Contract", "Two year"): -1.48,
    ("PaperlessBilling", "Yes"): 0.43,
    ("PaymentMethod", "Electronic check"): 0.38,
    ("PaymentMethod", "Mailed check"): -0.10,
}
CHURN_LOGIT_SENIOR = 0.19
# Tenure in months → log odds, with straight lines between. They make 26.5 % of customers leave.
CHURN_BY_TENURE = (
    (0, 1, 2, 6, 12, 24, 48, 72),
    (-6.0, 0.48, -0.35, -0.86, -0.95, -1.81, -1.96, -2.64),
)
