"""The demonstration from start to end: what it starts, and how it cleans up."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from lib.address import Address
from lib.errors import ModelNotFoundError
from lib.interruption import handle_signals, raise_interrupt
from lib.score.choice import find_model
from lib.settings.domain import choose_contract
from lib.settings.jobs.demo import DemoSettings
from lib.setup.places import BUILD_ROOT, PROJECT_ROOT
from lib.store import ModelReference
from lib.tools.broker import Broker, EmbeddedBroker, provide_broker
from lib.tools.broker.guarded_folder import GuardedFolder
from lib.tools.demo.child import Child
from lib.tools.demo.output import Output
from lib.tools.demo.page import PageOpener, choose_address
from lib.tools.demo.scenario import BATCH_RECORDS, Scenario
from lib.tools.demo.summary import list_next_steps, print_summary
from lib.tools.demo.topics import ArrivalReader, Topics, provide_topics

_LOGS = BUILD_ROOT / "demo"
# Records after which the page shows how far they have drifted from the training data.
_WINDOW_RECORDS = 5_000


def run_demo(settings: DemoSettings, output: Output) -> int:
    """Run the demonstration once, and clean up whatever happens.

    Returns:
        0 if every record came back once, else 1.

    Raises:
        ScoringError: something does not start, or stops.
        KeyboardInterrupt: the user, or SIGTERM, ended it.
    """
    with ExitStack() as signals:
        signals.enter_context(handle_signals(raise_interrupt))
        with ExitStack() as stack:
            try:
                is_complete = _run(settings, output, stack)
            finally:
                # All that was started has to be stopped, so further signals are ignored.
                signals.enter_context(handle_signals(signal.SIG_IGN))
    output.print_step("done" if is_complete else "FAILED: the counts do not add up")
    return 0 if is_complete else 1


def _run(settings: DemoSettings, output: Output, stack: ExitStack) -> bool:
    guard = GuardedFolder.create("scoring-demo-")
    stack.callback(guard.remove)
    broker = _start_broker(output, stack)
    model = provide_model(settings, guard, output)
    contract = choose_contract(None)
    topics = stack.enter_context(provide_topics(broker, contract.defaults))
    output.print_step("starting the job: ./spark-submit.sh jobs/score_stream.py")
    page = choose_address(settings.console) if settings.console else None
    job = stack.enter_context(build_job(settings, topics, guard, page))
    if page is not None:
        output.print_step(f"its page, while it runs: http://{page}/")
        if settings.open:
            stack.enter_context(PageOpener(page, output))
    reader = stack.enter_context(ArrivalReader(topics, contract))
    scenario = Scenario(settings, topics, output, job, reader, contract)
    measured = scenario.run()
    places: dict[str, Path | str] = {"model": model, "job's log": job.log}
    if settings.keep:
        places["checkpoint"] = guard.path / "checkpoint"
    else:
        scenario.stop_job()
    comparison = scenario.read_back()
    print_summary(output, settings, topics, comparison, measured, reader.arrivals, places)
    output.print_list("What to try next", [*list_next_steps(settings, topics), ""])
    if settings.keep and comparison.is_complete:
        scenario.keep()
    return comparison.is_complete


def provide_model(settings: DemoSettings, guard: GuardedFolder, output: Output) -> Path | str:
    """Find the model that the settings name; train one where the store has no such name.

    Raises:
        ScoringError: the model cannot be used, or the training failed.
    """
    try:
        path = find_model(settings)
    except ModelNotFoundError:
        reference = ModelReference.parse(settings.model)
        if not reference.name or reference.version is not None or reference.store is not None:
            raise
        output.print_step(f"training a model on synthetic data: {settings.store} has none")
        command = [sys.executable, str(PROJECT_ROOT / "jobs" / "train.py"), "--data", "synthetic"]
        command += ["--store", str(settings.store), "--name", reference.name]
        with Child("the training", command, _LOGS / "train.log", guard) as training:
            training.wait()
        path = find_model(settings)
    output.print_step(f"model: {path}")
    return path


def build_job(
    settings: DemoSettings, topics: Topics, guard: GuardedFolder, page: Address | None
) -> Child:
    """Return the real job, not started yet, with a checkpoint of its own.

    Args:
        settings: the model and the trigger.
        topics: the topics of the job.
        guard: the folder of the checkpoint.
        page: the address of the page of the job; None for no page.
    """
    options = {
        "--bootstrap-servers": topics.cluster.bootstrap_servers,
        "--input-topic": topics.records,
        "--output-topic": topics.predictions,
        "--dead-letter-topic": topics.dead_letters,
        "--query-name": topics.query_name,
        "--store": str(settings.store),
        "--model": settings.model,
        "--backend": settings.backend,
        "--delivery": "exactly-once",
        "--checkpoint": str(guard.path / "checkpoint"),
        "--trigger": settings.trigger,
        "--max-offsets-per-trigger": str(BATCH_RECORDS),
    }
    script = PROJECT_ROOT / "jobs" / "score_stream.py"
    command = [str(PROJECT_ROOT / "spark-submit.sh"), str(script)]
    command += [part for option in options.items() for part in option]
    if page is not None:
        # All records are made up.
        command += ["--console", str(page), "--console-shows-records"]
        command += [
            "--drift",
            "--drift-sample",
            "1",
            "--drift-window-records",
            str(_WINDOW_RECORDS),
        ]
    return Child("the job", command, _LOGS / "job.log", guard)


def _start_broker(output: Output, stack: ExitStack) -> Broker:
    output.print_step("starting Kafka")
    broker = stack.enter_context(provide_broker())
    kind = "embedded broker" if isinstance(broker, EmbeddedBroker) else "your broker"
    output.print_step(f"{kind} at {broker.bootstrap_servers}")
    return broker
