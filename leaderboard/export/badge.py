"""The badge of a detector for a README: an SVG that needs nothing else."""

from __future__ import annotations

from leaderboard.charts.scale import Rgb, hex_code
from leaderboard.export.glyphs import drawable, width
from leaderboard.export.plain import ranks, xml
from leaderboard.selectors.standing import Standing

# Sizes in pixels. Each part has a ground of its own and the whole a rim, so it reads on any page.
HEIGHT, FONT, PAD, RADIUS = 22, 12, 8, 5
WHITE: Rgb = (255, 255, 255)
SEA: Rgb = (11, 79, 108)
SLATE: Rgb = (38, 50, 61)
AMBER: Rgb = (251, 236, 203)
BROWN: Rgb = (106, 67, 0)
RIM: Rgb = (128, 140, 150)

Part = tuple[str, Rgb, Rgb]


def told(found: Standing) -> str:
    """The result of a detector in a few words."""
    entry = found.row.entry if found.row else None
    if entry is None or entry.next.estimate.value is None:
        return "no result yet"
    value = f"next {entry.next.estimate.value:.3f}"
    if entry.rank is None:
        return f"{value} · not ranked"
    return f"{value} · rank {ranks(entry.rank, entry.rank_best, entry.rank_worst)} of {found.n_ranked}"


def badge(found: Standing) -> str:
    """``told`` beside the name of the site, and a mark where the corpus is simulated."""
    parts: list[Part] = [("Tidemark", SEA, WHITE), (told(found), SLATE, WHITE)]
    if found.submission.benchmark.corpus.simulated:
        parts.append(("simulated", AMBER, BROWN))
    return _svg(parts)


def _svg(parts: list[Part]) -> str:
    boxes, x = [], 0
    for text, ground, ink in parts:
        # The reader's font is not the one that this is measured with, so the text is told its length.
        length = round(width(drawable(text), FONT)) + len(text) // 4
        box = length + 2 * PAD
        boxes.append(
            f'<path fill="{hex_code(ground)}" d="M{x} 0h{box}v{HEIGHT}h-{box}z"/>'
            f'<text x="{x + PAD}" y="15" textLength="{length}" fill="{hex_code(ink)}">{xml(text)}</text>'
        )
        x += box
    name = xml(": ".join([parts[0][0], ", ".join(text for text, _, _ in parts[1:])]))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{x}" height="{HEIGHT}" viewBox="0 0 {x} {HEIGHT}" '
        f'role="img" aria-label="{name}"><title>{name}</title>'
        f'<clipPath id="r"><rect width="{x}" height="{HEIGHT}" rx="{RADIUS}"/></clipPath>'
        f'<g clip-path="url(#r)" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="{FONT - 1}">'
        f"{''.join(boxes)}</g>"
        f'<rect x=".5" y=".5" width="{x - 1}" height="{HEIGHT - 1}" rx="{RADIUS - 0.5}" fill="none" '
        f'stroke="{hex_code(RIM)}" stroke-opacity=".6"/></svg>\n'
    )
