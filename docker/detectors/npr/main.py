"""Neighbouring pixel relationships (Tan et al., CVPR 2024, arXiv 2312.10461).

Up-sampling inside a generator leaves each 2×2 block of pixels related in a way that a camera does
not; the network sees only the difference of an image to its own nearest-neighbour reconstruction.
"""

import lightning
import torch
from tidemark_kit import run
from tidemark_kit.lightning import LightningDetector, pixels
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

# The shorter side of larger images, and the side of what the network sees; smaller images stay as
# they are, for blowing them up would write an up-sampling trace into reals and fakes alike.
RESIZE = 256
CROP = 224
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


class Bottleneck(nn.Module):
    """ResNet's block of 1×1, 3×3 and 1×1 convolutions: channels → 4 · ``planes``."""

    def __init__(self, channels, planes, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, planes, 1, bias=False),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            nn.Conv2d(planes, planes, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            nn.Conv2d(planes, 4 * planes, 1, bias=False),
            nn.BatchNorm2d(4 * planes),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != 4 * planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes)
            )

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


class Npr(lightning.LightningModule):
    """Normalised RGB images [N, 3, H, W] with even sides → logits [N, 1]."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            *[Bottleneck(64 if i == 0 else 256, 64) for i in range(3)],
            *[Bottleneck(256 if i == 0 else 512, 128, 2 if i == 0 else 1) for i in range(4)],
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(512, 1),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images):
        halved = interpolate(images, scale_factor=0.5, mode="nearest")
        residual = images - interpolate(halved, scale_factor=2.0, mode="nearest")
        return self.net(residual * 2 / 3)

    def training_step(self, batch, _):
        images, labels = batch
        return binary_cross_entropy_with_logits(self(images).squeeze(1), labels)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=2e-4)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.9)]


def preprocess(image, rng):
    """A square of at most CROP pixels with an even side: random when training, else the centre."""
    shorter = min(image.size)
    if shorter > RESIZE:
        size = [round(side * RESIZE / shorter) for side in image.size]
        image = image.resize(size, resample=2)
    side = min(CROP, *image.size) // 2 * 2
    slack = [length - side for length in image.size]
    left, top = (int(rng.integers(s + 1)) if rng else s // 2 for s in slack)
    tensor = (pixels(image.crop((left, top, left + side, top + side))) - MEAN) / DEVIATION
    return tensor.flip(2) if rng and rng.random() < 0.5 else tensor


if __name__ == "__main__":
    run(LightningDetector(Npr, preprocess, batch_size=32, min_steps=30))
