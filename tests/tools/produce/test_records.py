"""Customers come from CSV files or are made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from lib.decode.engines.python import decode_value
from lib.errors import SourceError
from lib.tools.produce.mixture import mix_messages
from lib.tools.produce.records import KeyedRecord, iter_csv, iter_source
from tests.support.records import VALID
from tests.support.telco import CUSTOMER

WriteCsv = Callable[..., str]


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    def write(*changes: dict[str, Any], bom: str = "") -> str:
        rows = [VALID | change for change in changes]
        lines = [",".join(VALID), *(",".join(str(row[name]) for name in VALID) for row in rows)]
        path = tmp_path / "customers.csv"
        path.write_text(bom + "\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    return write


def take(source: str, count: int | None, limit: int = 100) -> list[KeyedRecord]:
    customers, _ = iter_source(source, count, seed=1, contract=CUSTOMER)
    return list(islice(customers, limit))


def field(customer: KeyedRecord, name: str) -> Any:
    return json.loads(customer.body)[name]


def test_synthetic_customers_are_valid_seeded_and_all_different() -> None:
    customers = take("synthetic", 9_000, limit=20_000)

    assert len(customers) == len({customer.key for customer in customers}) == 9_000
    assert all(decode_value(customer.body, CUSTOMER).is_valid for customer in customers)
    assert customers[:10] == take("synthetic", 10)


def test_the_number_of_customers_is_told_where_it_is_known(write_csv: WriteCsv) -> None:
    path = write_csv({}, {})

    for source, count, total in (
        ("synthetic", None, 10_000),
        ("synthetic", 5, 5),
        ("synthetic", 0, None),
        (path, 5, 5),
        (path, 0, None),
        (path, None, None),
    ):
        assert iter_source(source, count, 1, CUSTOMER)[1] == total


def test_a_file_is_sent_once_by_default_and_again_from_its_start_for_more(
    write_csv: WriteCsv,
) -> None:
    path = write_csv({"customerID": "a"}, {"customerID": "b"}, {"customerID": "c"})

    assert [customer.key for customer in take(path, None)] == [b"a", b"b", b"c"]
    assert [customer.key for customer in take(path, 2)] == [b"a", b"b"]
    assert [customer.key for customer in take(path, 5)] == [b"a", b"b", b"c", b"a", b"b"]
    assert len(take(path, 0, limit=50)) == 50


def test_a_row_becomes_the_json_that_a_producer_would_send(write_csv: WriteCsv) -> None:
    path = write_csv({"tenure": 12, "MonthlyCharges": 29.85}, bom="\ufeff")

    (customer,) = take(path, None)

    assert customer.key == b"7590-VHVEG"
    assert field(customer, "tenure") == 12
    assert field(customer, "MonthlyCharges") == 29.85
    assert field(customer, "gender") == "Female"
    assert decode_value(customer.body, CUSTOMER).is_valid


def test_total_charges_come_as_text_as_number_and_blank(write_csv: WriteCsv) -> None:
    path = write_csv(*[{"TotalCharges": text} for text in ("600.5", "600.5", " ", " ")])

    assert [field(customer, "TotalCharges") for customer in take(path, None)] == [
        "600.5",
        600.5,
        " ",
        " ",
    ]


def test_label_and_unknown_columns_are_not_sent(tmp_path: Path) -> None:
    row = VALID | {"Churn": "Yes", "region": "north"}
    path = tmp_path / "customers.csv"
    path.write_text(",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n")

    (customer,) = take(str(path), None)

    assert json.loads(customer.body).keys() == VALID.keys()


def test_what_is_no_number_is_sent_as_it_stands(write_csv: WriteCsv) -> None:
    path = write_csv({"tenure": "many"}, {"MonthlyCharges": "nan"}, {"tenure": 1.5})

    first, second, third = take(path, None)

    assert field(first, "tenure") == "many"
    assert field(second, "MonthlyCharges") == "nan"
    assert field(third, "tenure") == 1.5


def test_numbers_that_no_json_holds_are_sent_as_text_and_integers_whole(
    write_csv: WriteCsv,
) -> None:
    path = write_csv(
        {"MonthlyCharges": "1e999", "tenure": "9007199254740993"},
        {"MonthlyCharges": "-1e999", "tenure": "1e999"},
        {"MonthlyCharges": "1e2", "tenure": "1e1"},
    )

    sent = [(field(it, "MonthlyCharges"), field(it, "tenure")) for it in take(path, None)]

    assert sent == [("1e999", 9007199254740993), ("-1e999", "1e999"), (100.0, 10)]
    assert all(b"Infinity" not in it.body for it in take(path, None))


def test_an_event_time_of_the_file_is_kept(tmp_path: Path) -> None:
    times = ["2024-05-01T12:30:00Z", "", "yesterday"]
    rows = [VALID | {"event_ts": time} for time in times]
    path = tmp_path / "customers.csv"
    path.write_text(
        "\n".join([",".join(rows[0]), *(",".join(map(str, it.values())) for it in rows)])
    )

    customers = take(str(path), None)
    messages = list(mix_messages(customers, CUSTOMER, bad_share=0, seed=1))

    assert [json.loads(it.value or b"").get("event_ts") for it in messages] == [
        "2024-05-01T12:30:00Z",
        None,
        "yesterday",
    ]


def test_a_file_without_event_times_gets_the_times_of_sending(write_csv: WriteCsv) -> None:
    (message,) = mix_messages(take(write_csv({}), None), CUSTOMER, bad_share=0, seed=1)

    assert str(json.loads(message.value or b"")["event_ts"]).startswith("20")


def test_a_short_row_lacks_its_last_fields(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text(",".join(VALID) + "\n7590-VHVEG,Female\n")

    (customer,) = take(str(path), None)

    assert json.loads(customer.body) == {"customerID": "7590-VHVEG", "gender": "Female"}


def test_missing_columns_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("customerID,gender\n7590-VHVEG,Female\n")

    with pytest.raises(SourceError, match="found no column SeniorCitizen, Partner, Dependents,"):
        take(str(path), None)


@pytest.mark.parametrize("count", [None, 0, 3])
def test_a_file_without_rows_is_refused(write_csv: WriteCsv, count: int | None) -> None:
    with pytest.raises(SourceError, match="found no rows"):
        take(write_csv(), count)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        take(str(tmp_path / "nothing.csv"), None)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SourceError, match=r"customers\.csv"):
        list(iter_csv(path, CUSTOMER, cycle=False))
