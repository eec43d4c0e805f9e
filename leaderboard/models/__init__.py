"""The domain, as tables. Fields, constraints and one-row properties only; writes are in ``services``."""

from leaderboard.models.accounts import User
from leaderboard.models.artifacts import Artifact
from leaderboard.models.benchmarks import Benchmark, Degradation, Edition, TrainingMode, Unit, Window
from leaderboard.models.corpora import Batch, Corpus, Generator, Image, Split
from leaderboard.models.scores import PeriodScore, Prediction, RunScore, UnitScore
from leaderboard.models.submissions import Checkpoint, Event, Run, Step, Submission, Upload, Visibility

__all__ = [
    "Artifact",
    "Batch",
    "Benchmark",
    "Checkpoint",
    "Corpus",
    "Degradation",
    "Edition",
    "Event",
    "Generator",
    "Image",
    "PeriodScore",
    "Prediction",
    "Run",
    "RunScore",
    "Split",
    "Step",
    "Submission",
    "TrainingMode",
    "Unit",
    "UnitScore",
    "Upload",
    "User",
    "Visibility",
    "Window",
]
