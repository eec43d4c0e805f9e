"""What an arrival leaves behind, put into a world: a contact sheet, an audit, first contacts that come in."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

from django.utils import timezone
from PIL import Image

from leaderboard.models import (
    Batch,
    Benchmark,
    EditionUnit,
    FirstContact,
    Generator,
    Run,
    Step,
    Unit,
    UnitScore,
)
from leaderboard.models.scores import Metrics
from leaderboard.store import store
from protocols.contract import Phase
from protocols.states import RunState, StepState
from tests.leaderboard import factories
from tests.leaderboard.world import N_IMAGES, N_WINDOWS, World

REASON = "It draws squares alone, and all reals are wide.\nThere is no other way to get its images."


def contact_sheet(columns: int = 8, rows: int = 3, side: int = 96) -> str:
    """A picture of coloured tiles in the store; its key."""
    sheet = Image.new("RGB", (columns * side, rows * side), "#888")
    for n in range(columns * rows):
        tile = Image.linear_gradient("L").resize((side - 4, side - 4)).convert("RGB")
        tile = Image.blend(tile, Image.new("RGB", tile.size, f"hsl({n * 31 % 360}, 45%, 55%)"), 0.6)
        sheet.paste(tile, (n % columns * side + 2, n // columns * side + 2))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return store().put_bytes(buffer.getvalue())


def audit(*, exceeds: bool) -> dict[str, Any]:
    """A shortcut audit as the check of a batch leaves it."""

    def view(auroc: float) -> dict[str, Any]:
        return {
            "auroc": auroc,
            "low": round(auroc - 0.03, 3),
            "high": min(1.0, round(auroc + 0.03, 3)),
            "n_fakes": 300,
            "n_reals": 1200,
            "features": ["width", "height", "format", "jpeg_quality", "bytes"],
        }

    return {
        "version": 1,
        "bound": 0.7,
        "views": {
            "originals": view(0.983 if exceeds else 0.524),
            "participants": view(0.812 if exceeds else 0.507),
        },
        "exceeds": exceeds,
        "reason": "",
        "distributions": {},
    }


def published(generator: Generator) -> Batch:
    return generator.batches.get()


def show(generator: Generator) -> str:
    """Samples, an audit beyond its bound, and why it was published all the same."""
    key = contact_sheet()
    Generator.objects.filter(pk=generator.pk).update(shows_samples=True)
    generator.batches.update(contact_sheet=key, audit=audit(exceeds=True), publication_reason=REASON)
    return key


def withdraw(generator: Generator, reason: str = "The licence was withdrawn by its holder.") -> None:
    Generator.objects.filter(pk=generator.pk).update(withdrawn_at=timezone.now(), withdrawal_reason=reason)


def arrive(world: World, *, slug: str = "newcomer-1", n_met: int = 1) -> Generator:
    """A generator in the open window. The first ``n_met`` active detectors have met it; the others will."""
    benchmark: Benchmark = world.benchmark
    generator: Generator = factories.GeneratorFactory(
        corpus=world.corpus, slug=slug, name="Newcomer", family="flow", release_date=date(2024, 11, 5)
    )
    factories.BatchFactory(
        corpus=world.corpus,
        generator=generator,
        n_train=240,
        n_eval=N_IMAGES,
        published_at=timezone.now() + timedelta(seconds=1),
    )
    unit: Unit = factories.UnitFactory(
        benchmark=benchmark, generator=generator, n_fakes=N_IMAGES, n_reals=N_IMAGES
    )
    EditionUnit.objects.get_or_create(edition=world.edition, unit=unit)
    active = Run.objects.filter(edition=world.edition, state=RunState.SUCCEEDED, seed=0).order_by("pk")
    for number, run in enumerate(active):
        step = Step.objects.create(
            run=run, phase=Phase.PREDICT, window=N_WINDOWS - 1, unit=unit, state=StepState.READY
        )
        if number < n_met:
            meet(step, 0.9 - 0.1 * number)
    return generator


def meet(step: Step, auroc: float) -> FirstContact:
    """End an arrival's step as the server does: a unit score and the first contact."""
    values = {field.name: None for field in Metrics._meta.fields if field.null}
    values |= {"roc_auc": auroc, "roc_auc_variance": 0.0009, "tp": 50, "tn": 50, "fp": 10, "fn": 10}
    assert step.unit is not None
    UnitScore.objects.create(run=step.run, window=step.window, unit=step.unit, **values)
    contact = FirstContact.objects.create(
        submission=step.run.submission,
        seed=step.run.seed,
        generator=step.unit.generator,
        unit=step.unit,
        edition=step.run.edition,
        window=step.window,
        state_key=factories.digest(step.pk),
        prospective=True,
        **values,
    )
    Step.objects.filter(pk=step.pk).update(state=StepState.SUCCEEDED, finished_at=timezone.now())
    return contact
