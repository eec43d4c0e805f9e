"""What is told of a newcomer that every detector has met, and to whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from leaderboard.models import Benchmark, Delivery, Step, Subscription
from leaderboard.services.news import tell_met
from leaderboard.services.subscriptions import email_subscribe
from protocols.states import StepState
from tests.leaderboard.arrivals import arrive, meet, withdraw
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db


def reader(benchmark: Benchmark | None, address: str = "ada@example.org", **since: int) -> Subscription:
    email_subscribe(address=address, benchmark=benchmark)
    Delivery.objects.all().delete()
    Subscription.objects.filter(address=address).update(confirmed_at=timezone.now() - timedelta(**since))
    found: Subscription = Subscription.objects.get(address=address)
    return found


def told() -> list[tuple[str, dict[str, Any]]]:
    return [(row.event, row.payload) for row in Delivery.objects.order_by("created_at")]


def meet_all(generator: object) -> None:
    for step in Step.objects.filter(unit__generator=generator, state=StepState.READY):
        meet(step, 0.7)


def test_it_is_told_once_when_the_last_detector_has_met_it(world: World) -> None:
    reader(world.benchmark, hours=1)
    generator = arrive(world, n_met=1)
    tell_met()
    assert told() == []
    meet_all(generator)
    assert tell_met() == 1
    tell_met()
    ((event, payload),) = told()
    assert event == "generator.first_contacts_complete"
    assert payload["generator"]["slug"] == generator.slug
    assert payload["benchmark"]["slug"] == world.benchmark.slug
    assert (payload["n_detectors"], payload["median"]) == (3, 0.7)
    assert payload["best"] >= 0.7


def test_a_first_contact_that_failed_does_not_hold_it_up(world: World) -> None:
    reader(world.benchmark, hours=1)
    generator = arrive(world, n_met=2)
    Step.objects.filter(unit__generator=generator, state=StepState.READY).update(
        state=StepState.FAILED, finished_at=timezone.now()
    )
    tell_met()
    ((_, payload),) = told()
    assert payload["n_detectors"] == 2


def test_whoever_asks_later_does_not_hear_of_what_was_before(world: World) -> None:
    generator = arrive(world, n_met=3)
    meet_all(generator)
    reader(world.benchmark)
    tell_met()
    assert told() == []


def test_what_is_long_over_is_not_told(world: World) -> None:
    reader(world.benchmark, days=90)
    generator = arrive(world, n_met=3)
    meet_all(generator)
    Step.objects.filter(unit__generator=generator).update(finished_at=timezone.now() - timedelta(days=2))
    assert tell_met() == 0
    assert told() == []


def test_what_was_withdrawn_meanwhile_is_not_told(world: World) -> None:
    reader(world.benchmark, hours=1)
    generator = arrive(world, n_met=3)
    meet_all(generator)
    withdraw(generator)
    tell_met()
    assert told() == []


def test_windows_of_an_edition_are_no_arrivals(world: World) -> None:
    reader(world.benchmark, hours=1)
    assert tell_met() == 0
