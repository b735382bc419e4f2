"""Two supervised jobs of one query name do not keep each other from working."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.rivals import run_rivals
from tests.end_to_end.jobs import Deployment

# This time is counted from the first answer on. The second job starts with the first job; without a
# lease, each job would have taken over from the other by the end of this time.
SECONDS = 16.0
# A batch comes every second; a takeover costs a start of the job, 10 s on an idle machine.
LONGEST_WAIT_S = 8.0


@pytest.mark.spark
@pytest.mark.broker
def test_two_supervised_jobs_of_one_query_name_write_all_the_time(
    deployment: Deployment, tmp_path: Path
) -> None:
    found = run_rivals(deployment, tmp_path, SECONDS, shares_checkpoint=False)

    assert found.account.faults == {}, found.describe()
    assert max(found.waits_s[1:]) < LONGEST_WAIT_S, found.describe()
    assert [] in found.exits, found.describe()  # one of the two jobs was never interrupted
