"""What a check leaves with a batch: a report and an audit as workers store them."""

from __future__ import annotations

from typing import Any

REPORT: dict[str, Any] = {
    "n_files": 223,
    "n_train": 160,
    "n_eval": 40,
    "n_rejected": {"image_broken": 3, "image_duplicate": 20},
    "n_near_duplicates": 3,
    "n_near": {"batch": 2, "published": 1, "corpus": 0, "across": 1},
    "rejected": [
        {"name": "broken/<script>.png", "code": "image_broken", "detail": "cannot identify image file"},
        *(
            {
                "name": f"train/{n:03}.png",
                "code": "image_duplicate",
                "detail": "The corpus holds the same pixels already.",
            }
            for n in range(20)
        ),
    ],
    "near_duplicates": [
        {
            "name": "train/101.png",
            "split": "train",
            "other": "a" * 64,
            "other_name": "eval/012.png",
            "other_split": "eval",
            "other_origin": "flux-3",
            "similarity": 0.981,
            "place": "batch",
        },
        {
            "name": "train/102.png",
            "split": "train",
            "other": "b" * 64,
            "other_name": "train/103.png",
            "other_split": "train",
            "other_origin": "flux-3",
            "similarity": 0.993,
            "place": "batch",
        },
        {
            "name": "eval/007.png",
            "split": "eval",
            "other": "c" * 64,
            "other_name": "",
            "other_split": "eval",
            "other_origin": "office-camera",
            "similarity": 0.962,
            "place": "published",
        },
    ],
}

FEATURES = {
    "jpeg_quality": 0.52,
    "container": 0.31,
    "bytes": 0.12,
    "width": 0.03,
    "aspect": 0.01,
    "height": 0.01,
}
# PNG fakes of one size beside JPEG photographs of many: the shortcut that audits are for.
AUDIT: dict[str, Any] = {
    "version": 1,
    "bound": 0.7,
    "exceeds": True,
    "views": {
        "originals": {
            "auroc": 0.981,
            "low": 0.968,
            "high": 0.99,
            "n_fakes": 200,
            "n_reals": 300,
            "features": FEATURES,
        },
        "participants": {
            "auroc": 0.784,
            "low": 0.741,
            "high": 0.826,
            "n_fakes": 200,
            "n_reals": 300,
            "features": {"width": 0.6, "height": 0.4},
        },
    },
    "distributions": {
        "format": {"fakes": {"PNG": 192, "WEBP": 8}, "reals": {"JPEG": 290, "PNG": 10}},
        "jpeg_quality": {
            "fakes": {"null": 200},
            "reals": {
                "null": 10,
                "70": 4,
                "75": 30,
                "80": 21,
                "85": 54,
                "90": 88,
                "92": 12,
                "95": 60,
                "97": 21,
            },
        },
        "width": {
            "edges": [64, 256, 512, 768, 1024, 1536, 2048, 4096],
            "fakes": [0, 0, 20, 40, 140, 0, 0],
            "reals": [6, 30, 52, 70, 61, 50, 31],
        },
        "height": {
            "edges": [64, 256, 512, 768, 1024, 1536, 2048, 4096],
            "fakes": [0, 0, 20, 40, 140, 0, 0],
            "reals": [12, 44, 60, 66, 58, 40, 20],
        },
        "bytes": {
            "edges": [1000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000],
            "fakes": [0, 0, 4, 36, 90, 70],
            "reals": [2, 20, 71, 130, 60, 17],
        },
    },
}
