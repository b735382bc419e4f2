"""A DAG for Airflow 3: train, compare with the champion, promote what is no worse, score files.

Copy it into the folder of DAGs. The worker needs the clone after ``make setup``, and the store. The
first task that fails ends the run: a model that is worse is not promoted, and the log of
``compare`` says by which metric. A running job takes the new champion at its next start.
docs/deploy.md explains it.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param

PARAMS = {
    "clone": Param("/srv/churn-scoring", type="string", description="the clone, after make setup"),
    "store": Param("/srv/models", type="string", description="folder of the model store"),
    "name": Param("churn", type="string", description="name of the model"),
    "data": Param(
        "/srv/data/customers.csv", type="string", description="CSV file of records and their labels"
    ),
    "tolerance": Param(
        0.005, type="number", description="most by which a metric may be worse than the champion's"
    ),
    "archive": Param(
        "/srv/data/archive", type="string", description="Parquet files to score with the new model"
    ),
    "output": Param("/srv/data/scored", type="string", description="folder of the scored files"),
}

#: The version that the first task has saved, such as churn@7.
VERSION = "{{ ti.xcom_pull(task_ids='train') }}"

# Every value is quoted, so that a blank in a path is no end of it.
_BEGIN = "set -euo pipefail; cd {{ params.clone | quote }}; "
_MODELS = _BEGIN + ".venv/bin/python jobs/models.py "
_STORE = " --store {{ params.store | quote }}"

TRAIN = (
    _BEGIN
    + ".venv/bin/python jobs/train.py --data {{ params.data | quote }}"
    + " --name {{ params.name | quote }}"
    + _STORE
    + " --no-promote"
    # The last line of the output is the result of the task: the version, from the line that names
    # its folder.
    + r" | tee /dev/stderr | sed -n 's|^saved .*/\([^/]*\)/\([0-9]*\)$|\1@\2|p'"
)
# The exit code is 1 if a metric is worse than the champion's.
COMPARE = (
    _MODELS
    + "compare {{ params.name | quote }}@champion "
    + VERSION
    + _STORE
    + " --tolerance {{ params.tolerance }}"
)
PROMOTE = _MODELS + "promote " + VERSION + _STORE
REPLAY = (
    _BEGIN
    + "./spark-submit.sh jobs/replay.py --model "
    + VERSION
    + _STORE
    + " --input {{ params.archive | quote }}"
    + " --output {{ params.output | quote }}/{{ ds }} --overwrite"
)

with DAG(
    "churn_model",
    schedule="@weekly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    user_defined_filters={"quote": shlex.quote},
    doc_md=__doc__,
    tags=["scoring"],
) as dag:
    train = BashOperator(
        task_id="train", bash_command=TRAIN, execution_timeout=timedelta(hours=2), retries=1
    )
    compare = BashOperator(task_id="compare", bash_command=COMPARE)
    promote = BashOperator(task_id="promote", bash_command=PROMOTE, retries=1)
    replay = BashOperator(
        task_id="replay", bash_command=REPLAY, execution_timeout=timedelta(hours=6), retries=1
    )
    train >> compare >> promote >> replay
