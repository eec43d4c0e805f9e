"""What a detector author needs, and nothing of the container contract.

>>> from tidemark_kit import Detector, run      # a plain detector
>>> from tidemark_kit.lightning import LightningDetector  # one from a LightningModule

This module needs pyarrow alone; ``Sample.image`` needs Pillow, ``tidemark_kit.variants``
numpy and Pillow, ``tidemark_kit.lightning`` torch and lightning.
"""

from tidemark_kit.data import Images, Sample
from tidemark_kit.detector import Detector, Window, progress, run
from tidemark_kit.request import KitError, Request

__all__ = ["Detector", "Images", "KitError", "Request", "Sample", "Window", "progress", "run"]
