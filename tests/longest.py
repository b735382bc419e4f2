"""The test files that take longest, the longest first.

``make test`` begins with them. If one began among the last, two of three processes would wait for
it. docs/engineering/tests.md says what takes so long, and which command shows it.
"""

from __future__ import annotations

#: Together these take more than half of the time of all.
LONGEST = (
    "tests/crash/test_laboratory.py",
    "tests/end_to_end/test_operator.py",
    "tests/stream/test_plan.py",
    "tests/score/test_spark.py",
    "tests/exactly_once/test_exactly_once.py",
    "tests/end_to_end/test_stream.py",
    "tests/object_store/test_checkpoint_on_s3.py",
    "tests/end_to_end/test_real_time.py",
    "tests/exactly_once/checkpoint/test_checkpoint.py",
    "tests/docs/test_code_blocks.py",
    "tests/score/test_backends.py",
    "tests/end_to_end/test_job.py",
    "tests/end_to_end/test_restarts.py",
    "tests/exactly_once/test_retention.py",
    "tests/exactly_once/start/test_query_lease.py",
    "tests/crash/test_kill.py",
    "tests/training/test_train_job.py",
    "tests/training/test_training.py",
    "tests/security/test_no_leaks.py",
    "tests/end_to_end/test_stops.py",
    "tests/domains/test_loan.py",
    "tests/tools/broker/test_embedded.py",
    "tests/setup/test_wheel.py",
    "tests/end_to_end/test_replay.py",
    "tests/exactly_once/transaction/test_transaction.py",
    "tests/end_to_end/test_demo.py",
)
