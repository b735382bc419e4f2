"""``python -m lib.tools.broker`` runs embedded brokers until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys

from lib.errors import ScoringError
from lib.kafka.topics import create_topics
from lib.tools.broker.embedded import EmbeddedBroker


def main() -> int:
    """Run brokers, print their addresses on standard output, return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.tools.broker",
        description="Run a Kafka cluster on free ports until Ctrl-C, keeping nothing.",
    )
    parser.add_argument(
        "--brokers", type=int, default=1, choices=range(1, 10), metavar="COUNT", help="how many (1)"
    )
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="NAME[:PARTITIONS]",
        help="create this topic (repeatable)",
    )
    options = parser.parse_args()
    topics = dict(_split(text) for text in options.topic)
    # Both signals are blocked at first, so that none is lost during the start, and sigwait below
    # returns them.
    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        with EmbeddedBroker(brokers=options.brokers) as broker:
            if topics:
                create_topics(broker.cluster, topics)
            print(broker.bootstrap_servers, flush=True)
            print(f"running, folder {broker.folder}; Ctrl-C stops it", file=sys.stderr)
            signal.sigwait(ending)
    except ScoringError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _split(text: str) -> tuple[str, int]:
    name, _, partitions = text.partition(":")
    return name, int(partitions or 1)


if __name__ == "__main__":
    sys.exit(main())
