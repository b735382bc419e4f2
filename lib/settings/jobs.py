"""The settings of every job, by the job's name."""

from __future__ import annotations

from lib.settings.base import JobSettings
from lib.settings.consume import ConsumeSettings
from lib.settings.demo import DemoSettings
from lib.settings.produce import ProduceSettings
from lib.settings.replay import ReplaySettings
from lib.settings.resend import ResendSettings
from lib.settings.score_stream import ScoreStreamSettings
from lib.settings.train import TrainSettings

JOB_SETTINGS: dict[str, type[JobSettings]] = {
    "score_stream": ScoreStreamSettings,
    "train": TrainSettings,
    "replay": ReplaySettings,
    "produce": ProduceSettings,
    "consume": ConsumeSettings,
    "resend": ResendSettings,
    "demo": DemoSettings,
}
