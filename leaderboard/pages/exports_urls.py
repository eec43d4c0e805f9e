"""Routes of what goes out of the site: tables as files, badges, frames, citations, pictures."""

from django.urls import path, register_converter

from leaderboard.pages import exports, outside

register_converter(exports.Suffix, "suffix")

urlpatterns = [
    path("picture.png", outside.site_picture, name="site-picture"),
    path("b/<slug:slug>/leaderboard.<suffix:suffix>", exports.leaderboard, name="leaderboard-file"),
    path("b/<slug:slug>/first-contact.<suffix:suffix>", exports.first_contact, name="first-contact-file"),
    path(
        "b/<slug:slug>/generators/<slug:generator>.<suffix:suffix>", exports.generator, name="generator-file"
    ),
    path("b/<slug:slug>/compare.<suffix:suffix>", exports.compare, name="compare-file"),
    path("b/<slug:slug>/embed/", outside.board_embed, name="board-embed"),
    path("b/<slug:slug>/cite.bib", outside.board_citation, name="board-citation"),
    path("b/<slug:slug>/picture.png", outside.board_picture, name="board-picture"),
    path(
        "c/<slug:corpus>/generators/<slug:slug>/picture.png",
        outside.generator_picture,
        name="generator-picture",
    ),
    path("detectors/<uuid:submission_id>/matrix.<suffix:suffix>", exports.matrix, name="matrix-file"),
    path("detectors/<uuid:submission_id>/periods.<suffix:suffix>", exports.periods, name="periods-file"),
    path("detectors/<uuid:submission_id>/scores.<suffix:suffix>", exports.scores, name="scores-file"),
    path("detectors/<uuid:submission_id>/badge.svg", outside.detector_badge, name="detector-badge"),
    path("detectors/<uuid:submission_id>/embed/", outside.detector_embed, name="detector-embed"),
    path("detectors/<uuid:submission_id>/cite.bib", outside.detector_citation, name="detector-citation"),
    path("detectors/<uuid:submission_id>/picture.png", outside.detector_picture, name="detector-picture"),
]
