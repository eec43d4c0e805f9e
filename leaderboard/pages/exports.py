"""Tables as files. Their addresses are those of the pages that show them, with a suffix.

``docs/export.md`` says what each holds.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from itertools import chain

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.text import compress_sequence
from django.views.decorators.http import require_safe

from leaderboard.api.errors import outside_views, status_of
from leaderboard.board import Timeline
from leaderboard.delivery.compression import PADDING_BYTES, TEXT, accepts_gzip
from leaderboard.delivery.middleware import PUBLIC
from leaderboard.export import board_tables, compare_table, detector_tables
from leaderboard.export.formats import FORMATS
from leaderboard.export.image_scores import image_scores as table_of_scores
from leaderboard.export.table import Export, Marks
from leaderboard.models import Benchmark, Edition, PeriodScore, UnitScore
from leaderboard.pages.compare import ids_of
from leaderboard.selectors.compare import FEWEST, MOST, comparison
from leaderboard.selectors.horizon import frontiers
from leaderboard.selectors.rows import BoardRow
from leaderboard.selectors.snapshots import Shown, shown_board
from leaderboard.selectors.standing import Standing, image_scores, standing
from leaderboard.selectors.views import View
from protocols.errors import CATALOGUE

# What is larger is sent as it is made: no process holds it whole, and no cache of ours keeps it.
WHOLE_BYTES = 2**20


class Suffix:
    """A converter of paths: the suffixes that there are."""

    regex = "|".join(FORMATS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


@require_safe
def leaderboard(request: HttpRequest, slug: str, suffix: str) -> HttpResponseBase:
    """The whole board as the view in the query has it, on all its pages."""
    benchmark, shown, view = _board(request, slug)
    return _of_board(request, board_tables.leaderboard(benchmark, shown, view), shown, suffix)


@require_safe
def first_contact(request: HttpRequest, slug: str, suffix: str) -> HttpResponseBase:
    benchmark, shown, view = _board(request, slug)
    return _of_board(request, board_tables.first_contacts(benchmark, shown, view), shown, suffix)


@require_safe
def generator(request: HttpRequest, slug: str, generator: str, suffix: str) -> HttpResponseBase:
    benchmark, shown, _ = _board(request, slug)
    export = board_tables.generator(benchmark, shown, generator)
    if export is None:
        raise Http404("This board has no such generator.")
    return _of_board(request, export, shown, suffix)


@require_safe
def compare(request: HttpRequest, slug: str, suffix: str) -> HttpResponseBase:
    """The detectors that ``d`` names in the query, as the page compares them."""
    benchmark = get_object_or_404(Benchmark.objects.select_related("corpus"), slug=slug)
    asked = ids_of(request.GET.getlist("d"))
    found = comparison(benchmark, asked, request.user) if FEWEST <= len(asked) <= MOST else None
    if found is None:
        raise Http404(f"Name {FEWEST} to {MOST} detectors of this benchmark that you may see.")
    return sent(request, compare_table.compared(Marks.of(benchmark, shown_board(benchmark)), found), suffix)


@require_safe
def matrix(request: HttpRequest, submission_id: uuid.UUID, suffix: str) -> HttpResponseBase:
    found, row, line = _detector(request, submission_id)
    benchmark = found.submission.benchmark
    edition = Edition.objects.get(benchmark=benchmark, number=line.edition)
    scores = UnitScore.objects.filter(run=row.entry.run_id)
    export = detector_tables.matrix(_stem(found), _marks(found, line), line, frontiers(edition), scores)
    return sent(request, export, suffix)


@require_safe
def periods(request: HttpRequest, submission_id: uuid.UUID, suffix: str) -> HttpResponseBase:
    found, row, line = _detector(request, submission_id)
    scores = PeriodScore.objects.filter(run=row.entry.run_id)
    return sent(request, detector_tables.periods(_stem(found), _marks(found, line), scores), suffix)


@require_safe
def scores(request: HttpRequest, submission_id: uuid.UUID, suffix: str) -> HttpResponseBase:
    """The scores of single images, where the benchmark shares them and the entry is public."""
    found, row, line = _detector(request, submission_id)
    if not (found.is_public and found.submission.benchmark.shares_scores):
        refusal = CATALOGUE["scores_not_shared"]
        return outside_views(refusal.code, status_of(refusal), refusal.what)
    rows = image_scores(row.entry.run_id, line)
    return sent(request, table_of_scores(_stem(found), _marks(found, line), rows), suffix)


def _board(request: HttpRequest, slug: str) -> tuple[Benchmark, Shown, View]:
    """Four queries at the most. Raises ``Http404`` where there is no such board."""
    benchmark = get_object_or_404(Benchmark.objects.select_related("corpus"), slug=slug)
    view = View.of(request.GET)
    shown = shown_board(benchmark, view.asof)
    if shown is None:
        raise Http404("This benchmark has no such board.")
    return benchmark, shown, view


def _detector(request: HttpRequest, submission_id: uuid.UUID) -> tuple[Standing, BoardRow, Timeline]:
    found = standing(submission_id, request.user)
    if found is None or found.row is None or found.timeline is None:
        raise Http404("No detector with a result that you may see has this address.")
    return found, found.row, found.timeline


def _stem(found: Standing) -> str:
    return detector_tables.slug_of(found.submission.name, found.submission.pk)


def _marks(found: Standing, line: Timeline) -> Marks:
    benchmark = found.submission.benchmark
    if found.shown is None:
        return Marks(benchmark.slug, benchmark.corpus.simulated, line.edition)
    return Marks.of(benchmark, found.shown)


def _of_board(request: HttpRequest, export: Export, shown: Shown, suffix: str) -> HttpResponseBase:
    """A table of a board, which everybody gets alike and which is the same as long as the board is."""
    said = f"{shown.digest} {request.get_full_path()} {export.marked_schema}"
    etag = f'W/"{hashlib.blake2b(said.encode(), digest_size=16).hexdigest()}"'
    response = get_conditional_response(request, etag=etag) or sent(request, export, suffix)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = PUBLIC
    return response


def sent(request: HttpRequest, export: Export, suffix: str) -> HttpResponse | StreamingHttpResponse:
    """The table as a file to keep; a large one is compressed and sent as it is made."""
    form = FORMATS[suffix]
    headers = {
        "Content-Type": form.content_type,
        "Content-Disposition": f'attachment; filename="{export.file_name(suffix)}"',
    }
    pieces = form.write(export)
    begun = _begin(pieces)
    if sum(map(len, begun)) <= WHOLE_BYTES:
        return HttpResponse(b"".join(begun), headers=headers)
    whole: Iterator[bytes] = chain(begun, pieces)
    is_text = form.content_type.startswith(TEXT)
    if is_text and accepts_gzip(request.headers.get("Accept-Encoding", "")):
        whole = compress_sequence(whole, max_random_bytes=PADDING_BYTES)
        headers["Content-Encoding"] = "gzip"
    response = StreamingHttpResponse(() if request.method == "HEAD" else whole, headers=headers)
    if is_text:
        patch_vary_headers(response, ["Accept-Encoding"])
    return response


def _begin(pieces: Iterator[bytes]) -> list[bytes]:
    """The first pieces, until there are none or they are more than what is sent whole."""
    begun, size = [], 0
    for piece in pieces:
        begun.append(piece)
        size += len(piece)
        if size > WHOLE_BYTES:
            break
    return begun
