"""The form with which a detector is entered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from leaderboard.models import Benchmark, Team, User, Visibility
from leaderboard.pages.batch_forms import Labelled, _date
from leaderboard.services.teams import personal_team

if TYPE_CHECKING:
    # The framework's classes are generic for the type check alone.
    BenchmarkChoice = forms.ModelChoiceField[Benchmark]
    TeamChoice = forms.ModelChoiceField[Team]
else:
    BenchmarkChoice = TeamChoice = forms.ModelChoiceField

LONGEST_DESCRIPTION = 10_000
# The largest of PostgreSQL's four-byte integers.
MAX_INT = 2**31 - 1


class BenchmarkField(BenchmarkChoice):
    def label_from_instance(self, obj: Benchmark) -> str:
        return f"{obj.name} (simulated)" if obj.corpus.simulated else obj.name


class TeamField(TeamChoice):
    def label_from_instance(self, obj: Team) -> str:
        return "You alone" if obj.personal_of_id else obj.name


class EntryForm(Labelled, forms.Form):
    """What is told of a detector before its archive is sent."""

    benchmark = BenchmarkField(
        Benchmark.objects.select_related("corpus"), to_field_name="slug", empty_label="Choose …"
    )
    team = TeamField(Team.objects.none(), to_field_name="slug", empty_label=None)
    name = forms.CharField(max_length=120, help_text="As it is to stand on the board.")
    visibility = forms.ChoiceField(
        choices=[
            (Visibility.PUBLIC.value, "Public: on the board once it is accepted"),
            (Visibility.PRIVATE.value, "Private: for your team and the maintainers"),
        ]
    )
    description = forms.CharField(
        required=False,
        max_length=LONGEST_DESCRIPTION,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it is and what it learns from.",
    )
    paper_url = forms.URLField(required=False, max_length=200, assume_scheme="https", label="Paper")
    code_url = forms.URLField(required=False, max_length=200, assume_scheme="https", label="Code")
    declared_cutoff = forms.DateField(
        required=False,
        widget=_date(),
        label="Declared cut-off",
        help_text="The day of the newest data that its pretraining may have seen.",
    )
    seed = forms.IntegerField(
        min_value=0, max_value=MAX_INT, initial=0, help_text="Given to every training step."
    )

    # Those that stand behind a summary, for most entries need none of them.
    EXTRA = ("description", "paper_url", "code_url", "declared_cutoff", "seed")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = personal_team(user)
        teams = self.fields["team"]
        assert isinstance(teams, forms.ModelChoiceField)
        teams.queryset = user.teams.order_by("-personal_of", "slug")
        self.initial.setdefault("team", own.slug)
        slugs = Benchmark.objects.values_list("slug", flat=True)[:2]
        if not self.initial.get("benchmark") and len(slugs) == 1:
            self.initial["benchmark"] = slugs[0]

    def main(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in self.EXTRA]

    def extra(self) -> list[forms.BoundField]:
        return [field for field in self if field.name in self.EXTRA]

    def extra_is_open(self) -> bool:
        return any(field.errors for field in self.extra())
