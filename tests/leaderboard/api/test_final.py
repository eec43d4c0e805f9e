"""What is final has no way in: no method of the API changes a first contact or the log of actions."""

from __future__ import annotations

import pytest

from leaderboard.models import Action, FirstContact, User
from tests.leaderboard.api.conftest import ClientOf
from tests.leaderboard.factories import UserFactory
from tests.leaderboard.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def maintainer(world: World) -> User:
    made: User = UserFactory(maintainer=True)
    return made


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_no_method_changes_what_is_final(
    world: World, maintainer: User, client_of: ClientOf, method: str
) -> None:
    generator = world.edition.units.all()[5].generator
    addresses = [
        f"benchmarks/{world.benchmark.slug}/first-contact/",
        f"benchmarks/{world.benchmark.slug}/arrivals/",
        f"generators/{world.corpus.slug}/{generator.slug}/results/",
        f"detectors/{world.succeeded[0].pk}/",
        "desk/actions/",
    ]
    before = list(FirstContact.objects.values()), list(Action.objects.values())
    assert before[0]
    for address in addresses:
        answer = client_of(maintainer).generic(
            method, f"/api/v1/{address}", b'{"roc_auc": 1.0}', content_type="application/json"
        )
        assert answer.status_code == 405, address
    assert (list(FirstContact.objects.values()), list(Action.objects.values())) == before
