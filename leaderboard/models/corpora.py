"""Corpora: dated generators, real sources, batches of images and the images themselves."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from leaderboard.models.base import Faulty, Leased, choices, state_constraint
from protocols.states import BatchState


class Corpus(models.Model):
    """A collection of generators and real images on which benchmarks are built."""

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    simulated = models.BooleanField(
        default=False, help_text="The images were made by simulation, not by real generators."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]
        verbose_name_plural = "corpora"

    def __str__(self) -> str:
        return self.slug


class Generator(models.Model):
    """A generator of images with the day on which it was released."""

    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="generators")
    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=120)
    family = models.CharField(max_length=60, blank=True)
    release_date = models.DateField()
    source = models.TextField(blank=True)
    licence = models.TextField(blank=True)
    shows_samples = models.BooleanField(
        default=False, help_text="The licence allows that some training images are shown to everybody."
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawal_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["release_date", "slug"]
        constraints = [models.UniqueConstraint(fields=["corpus", "slug"], name="generator_slug_per_corpus")]

    @property
    def is_withdrawn(self) -> bool:
        return self.withdrawn_at is not None

    def __str__(self) -> str:
        return self.slug


class Batch(Leased, Faulty):
    """The images of one generator, or of one real source, that came in together.

    ``train_shard`` and ``eval_shard`` are store keys of Arrow files with the images as
    they were decoded; ``report`` says what was rejected and why. ``audit`` is the
    shortcut audit (``evaluator.data.audit``), ``contact_sheet`` the store key of a picture
    of samples. Where the audit is beyond its bound, ``publication_reason`` says why the
    batch was published all the same.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="batches")
    generator = models.ForeignKey(
        Generator, null=True, blank=True, on_delete=models.PROTECT, related_name="batches"
    )
    real_source = models.SlugField(max_length=80, blank=True)
    state = models.CharField(max_length=20, choices=choices(BatchState), default=BatchState.UPLOADING)
    upload = models.OneToOneField(
        "Upload", null=True, blank=True, on_delete=models.SET_NULL, related_name="batch"
    )
    manifest_hash = models.CharField(max_length=64, blank=True)
    train_shard = models.CharField(max_length=64, blank=True)
    eval_shard = models.CharField(max_length=64, blank=True)
    n_train = models.PositiveIntegerField(default=0)
    n_eval = models.PositiveIntegerField(default=0)
    report = models.JSONField(default=dict, blank=True)
    audit = models.JSONField(default=dict, blank=True)
    contact_sheet = models.CharField(max_length=64, blank=True)
    publication_reason = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)
    sealed_at = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        verbose_name_plural = "batches"
        constraints = [
            state_constraint("batch_state", BatchState),
            models.CheckConstraint(
                name="batch_is_fake_or_real",
                condition=models.Q(generator__isnull=False, real_source="")
                | (models.Q(generator__isnull=True) & ~models.Q(real_source="")),
            ),
        ]

    @property
    def is_real(self) -> bool:
        return self.generator_id is None

    @property
    def origin(self) -> str:
        """The slug of the generator or of the real source."""
        return self.generator.slug if self.generator else self.real_source

    def __str__(self) -> str:
        return f"{self.origin} ({self.state})"


class Split(models.TextChoices):
    TRAIN = "train"
    EVAL = "eval"


class Image(models.Model):
    """One image. The order of primary keys is the order of rows that the protocol's seeded draws see."""

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="images")
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="images")
    split = models.CharField(max_length=5, choices=Split.choices)
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of size and decoded pixels.")
    shard_row = models.PositiveIntegerField(help_text="Row in the batch's shard of this split.")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    source_format = models.CharField(max_length=10)
    source_bytes = models.PositiveBigIntegerField()
    jpeg_quality = models.PositiveSmallIntegerField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["corpus", "content_hash"], name="image_once_per_corpus"),
            models.UniqueConstraint(fields=["batch", "split", "shard_row"], name="image_row_per_shard"),
        ]
