"""The small convolutional network of Bird & Lotfi (CIFAKE, IEEE Access 2024, arXiv 2303.14126)."""

import lightning
import torch
from tidemark_kit import run
from tidemark_kit.lightning import LightningDetector, pixels
from torch import nn

SIZE = 32


class CifakeCnn(lightning.LightningModule):
    """RGB images [N, 3, 32, 32] in [0, 1] → logits [N]; two convolutions, one dense layer."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 6 * 6, 64),
            nn.ReLU(),
            nn.Linear(64, 1),
        )

    def forward(self, images):
        return self.net(images).squeeze(1)

    def training_step(self, batch, _):
        images, labels = batch
        return nn.functional.binary_cross_entropy_with_logits(self(images), labels)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


def preprocess(image, rng):
    """Everything is brought to 32×32, as the paper's images are; half of the training images are mirrored."""
    image = image.resize((SIZE, SIZE), resample=2, reducing_gap=2.0)
    tensor = pixels(image)
    return tensor.flip(2) if rng is not None and rng.random() < 0.5 else tensor


if __name__ == "__main__":
    # An epoch of a large window is enough; a small one is repeated until the network has seen something.
    run(LightningDetector(CifakeCnn, preprocess, batch_size=32, min_steps=300))
