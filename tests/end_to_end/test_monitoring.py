"""A real Prometheus scrapes a real job, and an ordinary consumer of offsets sees the same lag."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer

from lib.address import Address
from lib.kafka.admin import build_admin, read_ends
from lib.kafka.cluster import Cluster
from lib.tools.broker.ports import pick_free_ports
from tests.end_to_end.jobs import Deployment, start_job
from tests.monitoring.write_dashboard import ROWS
from tests.support.consumer_groups import read_group
from tests.support.prometheus import Prometheus, find_program, list_panel_queries, start_prometheus
from tests.support.topics import build_customers, produce
from tests.support.waiting import wait_until

find_program("prometheus")
_PAUSE_S = 0.3
# These panels are empty: no attempt has failed, customers have no event time, and the job has no
# brake, no model beside the champion and no outcomes. It counts no drift, which a hundred customers
# that come again and again would be.
_WITHOUT_DATA = {
    *("Errors of clients", "From the event to the commit", "Brake"),
    *(
        panel.title
        for row in ("Challenger and shadows", "Drift", "Quality by outcomes")
        for panel in ROWS[row]
    ),
}


@contextmanager
def steady_load(deployment: Deployment, bad_share: float) -> Iterator[None]:
    """Send 100 records again and again for as long as a block lasts."""
    stopped = threading.Event()
    records = build_customers(100, bad_share=bad_share)

    def send() -> None:
        while not stopped.wait(_PAUSE_S):
            produce(deployment.bootstrap_servers, deployment.input_topic, records)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def read_lag(deployment: Deployment) -> dict[int, int]:
    """Return partition → lag, as exporters compute it: from the group's offsets and the ends."""
    ends = read_ends(build_admin(Cluster(deployment.bootstrap_servers)), deployment.input_topic)
    group = read_group(deployment.bootstrap_servers, deployment.query_name)
    return {
        partition: end - group[deployment.input_topic, partition]
        for partition, (_, end) in ends.items()
    }


def query_lag(prometheus: Prometheus) -> dict[int, int]:
    """Return partition → lag, as the job tells it."""
    return {
        int(sample.labels["partition"]): int(sample.value)
        for sample in prometheus.query("scoring_lag_records")
    }


def test_a_real_job_is_watched_by_a_real_prometheus(deployment: Deployment, tmp_path: Path) -> None:
    produce(deployment.bootstrap_servers, deployment.input_topic, build_customers(400))
    address = Address("127.0.0.1", pick_free_ports(1)[0])
    arguments = deployment.arguments(trigger="300 milliseconds", metrics=str(address))
    upstream = Producer(
        {
            "bootstrap.servers": deployment.bootstrap_servers,
            "transactional.id": deployment.input_topic,
            "log_level": 0,
        }
    )
    upstream.init_transactions(30)
    with (
        start_prometheus({"scoring": [address]}, tmp_path) as prometheus,
        (tmp_path / "job.log").open("wb") as log,
        start_job(arguments, output=log) as process,
    ):

        def await_alert(name: str) -> None:
            wait_until(lambda: name in prometheus.find_firing())

        wait_until(lambda: bool(prometheus.query("scoring_ready == 1")))
        wait_until(lambda: not prometheus.find_firing())

        with steady_load(deployment, bad_share=0.1):
            await_alert("ScoringDeadLetters")
            for panel, expression in list_panel_queries():
                if panel not in _WITHOUT_DATA:
                    wait_until(lambda query=expression: bool(prometheus.query(query)), 20)  # type: ignore[misc]

        upstream.begin_transaction()
        for number in range(7):
            upstream.produce(deployment.input_topic, b"open", partition=number % 2)
        upstream.flush()
        produce(deployment.bootstrap_servers, deployment.input_topic, build_customers(40))
        await_alert("ScoringInputHeldBack")
        wait_until(lambda: query_lag(prometheus) == read_lag(deployment))
        lag = read_lag(deployment)
        assert lag[0] > 4
        assert lag[1] > 3
        assert lag[2] == lag[3] == 0

        upstream.commit_transaction()
        wait_until(lambda: query_lag(prometheus) == dict.fromkeys(range(4), 0))
        assert read_lag(deployment) == dict.fromkeys(range(4), 0)
        wait_until(lambda: not prometheus.find_firing())

        process.terminate()
        process.communicate(timeout=60)
        assert process.returncode == 0
        await_alert("ScoringDown")
