"""The domain, as tables. Fields, constraints and one-row properties only; writes are in ``services``."""

from leaderboard.models.accounts import AccessToken, IdempotencyKey, Invitation, Membership, Role, Team, User
from leaderboard.models.artifacts import Artifact, ArtifactKind
from leaderboard.models.audit import Action
from leaderboard.models.benchmarks import (
    Benchmark,
    Closing,
    Degradation,
    Edition,
    EditionUnit,
    TrainingMode,
    Unit,
    Window,
)
from leaderboard.models.boards import Board, BoardTouch
from leaderboard.models.corpora import Batch, Corpus, Generator, Image, Split
from leaderboard.models.notifications import Channel, Delivery, Hears, Subscription
from leaderboard.models.scores import (
    FirstContact,
    PeriodScore,
    Prediction,
    RunInfluence,
    RunScore,
    RunTransfer,
    UnitScore,
)
from leaderboard.models.submissions import (
    Checkpoint,
    DeletedEntry,
    Event,
    NullRow,
    Run,
    Step,
    Submission,
    Trial,
    Upload,
    Visibility,
)
from leaderboard.models.workers import WorkerBeat

__all__ = [
    "AccessToken",
    "Action",
    "Artifact",
    "ArtifactKind",
    "Batch",
    "Benchmark",
    "Board",
    "BoardTouch",
    "Channel",
    "Checkpoint",
    "Closing",
    "Corpus",
    "Degradation",
    "DeletedEntry",
    "Delivery",
    "Edition",
    "EditionUnit",
    "Event",
    "FirstContact",
    "Generator",
    "Hears",
    "IdempotencyKey",
    "Image",
    "Invitation",
    "Membership",
    "NullRow",
    "PeriodScore",
    "Prediction",
    "Role",
    "Run",
    "RunInfluence",
    "RunScore",
    "RunTransfer",
    "Split",
    "Step",
    "Submission",
    "Subscription",
    "Team",
    "TrainingMode",
    "Trial",
    "Unit",
    "UnitScore",
    "Upload",
    "User",
    "Visibility",
    "Window",
    "WorkerBeat",
]
