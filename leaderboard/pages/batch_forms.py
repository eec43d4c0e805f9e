"""The forms of the maintainers' pages on batches and generators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from leaderboard.models import Corpus, Generator

if TYPE_CHECKING:
    # The framework's classes are generic for the type check alone.
    GeneratorChoice = forms.ModelChoiceField[Generator]
    GeneratorForm = forms.ModelForm[Generator]
else:
    GeneratorChoice = forms.ModelChoiceField
    GeneratorForm = forms.ModelForm

LONGEST_TEXT = 2_000


def _date() -> forms.DateInput:
    # A browser's own picker sends and takes ISO dates only.
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class Labelled(forms.BaseForm):
    """Labels stand above their fields, without a colon."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["label_suffix"] = ""
        super().__init__(*args, **kwargs)


class GeneratorField(GeneratorChoice):
    def label_from_instance(self, obj: Generator) -> str:
        return f"{obj.name} ({obj.release_date.isoformat()})"


class OfGenerator(Labelled, forms.Form):
    """A generator of the corpus that is not withdrawn."""

    prefix = "known"
    generator = GeneratorField(Generator.objects.none(), empty_label="Choose …")

    def __init__(self, *args: Any, corpus: Corpus, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["generator"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = corpus.generators.filter(withdrawn_at=None).order_by("-release_date", "slug")


class NewGenerator(Labelled, GeneratorForm):
    """What is registered of a generator that the corpus does not know."""

    prefix = "new"

    class Meta:
        model = Generator
        fields = ["name", "slug", "release_date", "family", "source", "licence"]
        widgets = {
            "release_date": _date(),
            "source": forms.Textarea(attrs={"rows": 2, "maxlength": LONGEST_TEXT}),
            "licence": forms.Textarea(attrs={"rows": 2, "maxlength": LONGEST_TEXT}),
        }
        help_texts = {
            "name": "As its makers write it.",
            "slug": "Its name in addresses: letters, digits, hyphens.",
            "release_date": "The day on which the public could use it first; it decides the window.",
            "family": "Such as gan, diffusion, autoregressive.",
            "source": "Where the images come from, with a link.",
            "licence": "Of the images, with a link.",
        }


class OfReals(Labelled, forms.Form):
    prefix = "reals"
    real_source = forms.SlugField(
        max_length=80,
        label="Source",
        help_text="Its name in addresses. Images of a known source add to its pool.",
    )


class Reason(Labelled, forms.Form):
    """Why something is done; the log keeps it and readers see it."""

    reason = forms.CharField(
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Readers see it on the generator's page.",
    )


class Publication(Reason):
    """The button of the publication page; a reason where the shortcut audit is beyond its bound."""

    def __init__(self, *args: Any, needs_reason: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not needs_reason:
            del self.fields["reason"]


class Withdrawal(Reason):
    """A withdrawal, confirmed by the generator's slug."""

    prefix = "withdraw"
    confirmation = forms.CharField(max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, generator: Generator, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.generator = generator
        self.fields["confirmation"].label = f"Type {generator.slug} to confirm"

    def clean_confirmation(self) -> str:
        text: str = self.cleaned_data["confirmation"]
        if text.strip() != self.generator.slug:
            raise forms.ValidationError(f"This is not {self.generator.slug}.")
        return text


class Redating(Reason):
    prefix = "redate"
    release_date = forms.DateField(widget=_date())
    field_order = ("release_date", "reason")
