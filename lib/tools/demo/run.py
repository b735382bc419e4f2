"""The demonstration from start to end: what is started, and how it is cleaned up."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from lib.errors import ModelNotFoundError
from lib.interruption import handle_signals, raise_interrupt
from lib.score.choice import find_model
from lib.settings.domain import find_contract
from lib.settings.jobs.demo import DemoSettings
from lib.setup.places import BUILD_ROOT, PROJECT_ROOT
from lib.store import ModelReference
from lib.tools.broker import Broker, EmbeddedBroker, provide_broker
from lib.tools.broker.guarded_folder import GuardedFolder
from lib.tools.demo.child import Child
from lib.tools.demo.course import BATCH_RECORDS, Course
from lib.tools.demo.narrator import Narrator
from lib.tools.demo.summary import list_next_steps, tell_summary
from lib.tools.demo.topics import Topics, provide_topics
from lib.tools.demo.watcher import Watcher

_LOGS = BUILD_ROOT / "demo"


def run_demo(settings: DemoSettings, narrator: Narrator) -> int:
    """Show everything once; clean up, whatever happens.

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
                is_even = _run(settings, narrator, stack)
            finally:
                # However impatient somebody is: what was started has to be stopped.
                signals.enter_context(handle_signals(signal.SIG_IGN))
    narrator.tell("done" if is_even else "FAILED: the counts do not add up")
    return 0 if is_even else 1


def _run(settings: DemoSettings, narrator: Narrator, stack: ExitStack) -> bool:
    guard = GuardedFolder.create("scoring-demo-")
    stack.callback(guard.remove)
    broker = _start_broker(narrator, stack)
    model = provide_model(settings, guard, narrator)
    contract = find_contract(None)
    topics = stack.enter_context(provide_topics(broker, contract.defaults))
    narrator.tell("starting the job: ./spark-submit.sh jobs/score_stream.py")
    job = stack.enter_context(build_job(settings, topics, guard))
    watcher = stack.enter_context(Watcher(topics, contract))
    course = Course(settings, topics, narrator, job, watcher, contract)
    measured = course.run()
    places = {"model": model, "job's log": job.log}
    if settings.keep:
        places["checkpoint"] = guard.path / "checkpoint"
    else:
        course.stop_job()
    balance = course.read_back()
    tell_summary(narrator, settings, topics, balance, measured, watcher.arrivals, places)
    narrator.list("What to try next", [*list_next_steps(settings, topics), ""])
    if settings.keep and balance.is_even:
        course.keep()
    return balance.is_even


def provide_model(settings: DemoSettings, guard: GuardedFolder, narrator: Narrator) -> Path:
    """The model that the settings name; trains one where the store has no such name.

    Raises:
        ScoringError: it cannot be used, or the training failed.
    """
    try:
        path = find_model(settings)
    except ModelNotFoundError:
        reference = ModelReference.parse(settings.model)
        if not reference.name or reference.version is not None or reference.store is not None:
            raise
        narrator.tell(f"training a model on synthetic data: {settings.store} has none")
        command = [sys.executable, str(PROJECT_ROOT / "jobs" / "train.py"), "--data", "synthetic"]
        command += ["--store", str(settings.store), "--name", reference.name]
        with Child("the training", command, _LOGS / "train.log", guard) as training:
            training.wait()
        path = find_model(settings)
    narrator.tell(f"model: {path}")
    return path


def build_job(settings: DemoSettings, topics: Topics, guard: GuardedFolder) -> Child:
    """The real job, not started yet, with a checkpoint of its own."""
    options = {
        "--bootstrap-servers": topics.bootstrap_servers,
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
    return Child("the job", command, _LOGS / "job.log", guard)


def _start_broker(narrator: Narrator, stack: ExitStack) -> Broker:
    narrator.tell("starting Kafka")
    broker = stack.enter_context(provide_broker())
    kind = "embedded broker" if isinstance(broker, EmbeddedBroker) else "your broker"
    narrator.tell(f"{kind} at {broker.bootstrap_servers}")
    return broker
