"""The settings of every job, by the job's name."""

from __future__ import annotations

from lib.settings.base import JobSettings
from lib.settings.drift import DriftReportSettings
from lib.settings.jobs.check import CheckSettings
from lib.settings.jobs.consume import ConsumeSettings
from lib.settings.jobs.dead_letters import DeadLettersSettings
from lib.settings.jobs.demo import DemoSettings
from lib.settings.jobs.models import ModelsSettings
from lib.settings.jobs.offsets import OffsetsSettings
from lib.settings.jobs.produce import ProduceSettings
from lib.settings.jobs.quality.evaluate import EvaluateSettings
from lib.settings.jobs.replay import ReplaySettings
from lib.settings.jobs.resend import ResendSettings
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.jobs.topics import TopicsSettings
from lib.settings.jobs.train import TrainSettings

JOB_SETTINGS: dict[str, type[JobSettings]] = {
    "score_stream": ScoreStreamSettings,
    "check": CheckSettings,
    "train": TrainSettings,
    "models": ModelsSettings,
    "replay": ReplaySettings,
    "evaluate": EvaluateSettings,
    "produce": ProduceSettings,
    "consume": ConsumeSettings,
    "dead_letters": DeadLettersSettings,
    "resend": ResendSettings,
    "offsets": OffsetsSettings,
    "topics": TopicsSettings,
    "drift": DriftReportSettings,
    "demo": DemoSettings,
}
