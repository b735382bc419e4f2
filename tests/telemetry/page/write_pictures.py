"""Writes the pictures of docs/console.md: ``python -m tests.telemetry.page.write_pictures``."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace
from typing import Literal

from lib.background import Background
from lib.messages.tally import BOUNDS_S, Tally, Waits
from lib.telemetry.figures import Figures, Heap, Model, PartitionLag, ProcessUse, Program
from lib.telemetry.page.history import INTERVAL_S, KEPT_S, History, take_sample
from lib.telemetry.progress import BatchProgress
from lib.telemetry.state import Event, JobState, State
from tests.docs.documents import ROOT
from tests.telemetry.page.browser import open_browser
from tests.telemetry.page.filled import served

OUT, DEAD = "telco.churn.predictions", "telco.deadletter"
WIDTH, HEIGHT = 1280, 1180
# Bound of a class of waiting times → its share of the records.
_WAITS = {0.1: 0.12, 0.25: 0.55, 0.5: 0.27, 1.0: 0.055, 2.5: 0.005}
_LETTERS = {"not_allowed:InternetService": 0.5, "not_json:": 0.3, "out_of_range:tenure": 0.2}


class Example:
    """A job that has run for some hours, with a restart twenty minutes ago."""

    def __init__(self) -> None:
        self.now_s = time.time()
        self.figures = Figures(
            output_topic=OUT,
            dead_letter_topic=DEAD,
            started_s=self.now_s - 4 * 3_600,
            program=Program("0.1.0", "8d1e914c27ab", "4.2.0", "3.11.9"),
            model=Model("churn@3/onnx", "onnx", 0.53, False, self.now_s - 2_260),
            heap=Heap(612 * 2**20, 2 * 2**30),
        )
        self.figures.model_loads["loaded"] = 2
        self.figures.restarts["WorkerLostError"] = 1
        self._random = random.Random(7)
        self._offsets = dict.fromkeys(range(4), 9_000_000)
        self._letters = dict.fromkeys(_LETTERS, 0.0)

    def pass_time(self, at_s: float) -> None:
        """Add what the job does in one step before a moment, and how it stands then."""
        back_s, noise = self.now_s - at_s, self._random
        is_down = 1_180 < back_s < 1_200
        rate = 0 if is_down else 4_600 + 900 * math.sin(at_s / 700) + noise.gauss(0, 130)
        if 1_130 < back_s <= 1_180:
            rate *= 1.6
        records = round(rate * INTERVAL_S)
        letters = {}
        for outcome, share in _LETTERS.items():
            self._letters[outcome] += 0.0006 * share * records * noise.uniform(0, 2)
            letters[outcome] = int(self._letters[outcome])
            self._letters[outcome] -= letters[outcome]
        letters = {outcome: count for outcome, count in letters.items() if count}
        share = noise.uniform(0.9, 1.1) * (2.5 if 1_130 < back_s <= 1_180 else 1)
        counts = [0] * (len(BOUNDS_S) + 1)
        for bound, part in _WAITS.items():
            factor = share if bound >= 1 else 1
            counts[BOUNDS_S.index(bound)] = round(records * part * factor)
        places = {
            it: (noise.randrange(4), self._offsets[0] + noise.randrange(900)) for it in letters
        }
        yes = round(records * 0.268)
        if records:
            self.figures.add_tally(
                Tally(
                    {
                        OUT: {"churn@3/onnx\tNo": records - yes, "churn@3/onnx\tYes": yes},
                        DEAD: letters,
                    },
                    Waits(tuple(counts), records * 0.2),
                    newest={DEAD: places},
                ),
                replayed=0,
            )
            self.figures.add_batch(
                {"durationMs": {"triggerExecution": 430}},
                BatchProgress(0, records, records, 0, rate, 430, 0, 0),
            )
        down_s = 1_200 - back_s if is_down else 0.0
        for partition in self._offsets:
            self._offsets[partition] += records // 4
            waiting = round(noise.uniform(150, 420) + 1_150 * down_s)
            answered = self._offsets[partition]
            self.figures.lag[partition] = PartitionLag(
                answered, *(answered + waiting,) * 2, at_s - noise.uniform(0.2, 0.45) - down_s
            )
        passed_s = KEPT_S - back_s
        self.figures.processes = {
            "driver": ProcessUse(round((402 + passed_s / 900) * 2**20), 410 + 0.21 * passed_s, 1),
            "jvm": ProcessUse(round(1_480 * 2**20 + noise.gauss(0, 9e6)), 930 + 0.4 * passed_s, 1),
            "workers": ProcessUse(0 if is_down else 388 * 2**20, 760 + 0.5 * passed_s, 2),
        }

    def build_history(self) -> History:
        """Return the last hour."""
        history, began_s = History(), time.monotonic()
        for step in range(round(KEPT_S / INTERVAL_S)):
            at_s = self.now_s - KEPT_S + INTERVAL_S * (step + 1)
            self.pass_time(at_s)
            history.add(take_sample(self.figures, at_s, began_s + at_s - self.now_s))
        for outcome, rejection in self.figures.rejections.items():
            first_s = self.now_s - 4 * 3_600 + self._random.uniform(60, 900)
            last_s = self.now_s - self._random.uniform(1, 9)
            self.figures.rejections[outcome] = replace(rejection, first_s=first_s, last_s=last_s)
        return history

    def build_job(self) -> JobState:
        """Return the state with its events."""
        job = JobState()
        job.enter(State.RUNNING)
        job._since_s = self.now_s - 1_180
        job._events.clear()
        for back_s, kind, text in (
            (14_400, "starting", "answers of the brokers"),
            (14_391, "taking_over", "Kafka and the checkpoint"),
            (14_388, "running", ""),
            (2_275, "starting", "answers of the brokers"),
            (2_266, "taking_over", "Kafka and the checkpoint"),
            (2_260, "model", "churn@3/onnx scores"),
            (2_260, "running", ""),
            (1_200, "failure", "a Python worker was lost"),
            (1_200, "restarting", "a Python worker was lost"),
            (1_184, "taking_over", "Kafka and the checkpoint"),
            (1_180, "running", ""),
        ):
            job._events.append(Event(self.now_s - back_s, kind, text))
        return job


class Running(Background):
    """Lets the example go on while it is looked at."""

    def __init__(self, example: Example) -> None:
        super().__init__("example")
        self._example = example

    def _run(self) -> None:
        at_s = self._example.now_s
        while not self._stopped.wait(INTERVAL_S / 10):
            if time.time() >= at_s + INTERVAL_S:
                at_s += INTERVAL_S
                self._example.pass_time(at_s)


def main() -> None:
    """Write both pictures."""
    example = Example()
    history, job = example.build_history(), example.build_job()
    settings = {
        "query_name": "churn-scoring",
        "input_topic": "telco.raw.customers",
        "output_topic": OUT,
        "dead_letter_topic": DEAD,
    }
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    with (
        served(example.figures, job, history, **settings) as server,
        Running(example),
        open_browser() as browser,
    ):
        for scheme in schemes:
            page = browser.new_page(
                viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme
            )
            page.goto(f"http://{server.address}/")
            page.locator("text=1 h").click()
            page.wait_for_selector("#connection[data-is=live]")
            page.mouse.move(0, 0)
            page.wait_for_timeout(500)
            page.screenshot(path=ROOT / f"docs/img/console_{scheme}.png")


if __name__ == "__main__":
    main()
