"""The rivals on dilated ResNets in PyTorch: DeepLab-v2, PSPNet."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.torch_layers import Network, ResNet, conv, sample_bilinear
from gcn_jax.models.deeplab_v2 import RATES, SCALES, scale_name
from gcn_jax.models.deeplab_v2 import DeepLabV2 as OurDeepLabV2
from gcn_jax.models.pspnet import AUXILIARY_WEIGHT, BINS, DROPOUT


class AtrousPyramid(nn.Module):
    """Ours: `gcn_jax.models.deeplab_v2.AtrousPyramid`."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        for rate in RATES:
            self.add_module(f"rate{rate}", conv(c_in, c_out, 3, dilation=rate))

    def forward(self, x):
        """Map `[N, c_in, H, W]` to `[N, c_out, H, W]`."""
        return sum(branch(x) for branch in self.children())


class DeepLabV2(Network):
    """Ours: `gcn_jax.models.DeepLabV2`, of several scales, on torchvision's kind of ResNet."""

    label_stride = 8
    auxiliary_strides = OurDeepLabV2.auxiliary_strides

    def __init__(self, num_classes: int, depth: int = 101):
        super().__init__()
        self.backbone = ResNet(depth, output_stride=8, ceil_mode=True)
        self.aspp = AtrousPyramid(2048, num_classes)

    def forward(self, images):
        """Score the classes, as `Network` says."""
        full = images.shape[2:]
        largest = self._score(images)
        losses = {scale_name(1): (1.0, _labelled(largest, full))}
        for scale in SCALES:
            over, under = scale.as_integer_ratio()
            size = [(n - 1) * over // under + 1 for n in full]
            scores = self._score(sample_bilinear(images, size, (under, over)))
            losses[scale_name(scale)] = 1.0, _labelled(scores, size)
            enlarged = sample_bilinear(scores, largest.shape[2:], (over, under))
            largest = torch.maximum(largest, enlarged)
        if not self.training:
            return sample_bilinear(largest, full, (1, 8))
        return {"logits": (1.0, _labelled(largest, full)), **losses}

    def _score(self, images):
        return self.aspp(self.backbone(images)[-1]).float()


def _labelled(scores, size):
    """Cut off the row and column that a map may have more: of pixels beyond the image."""
    height, width = (-(-n // 8) for n in size)
    return scores[:, :, :height, :width]


class ConvNormReLU(nn.Sequential):
    """Ours: `gcn_jax.models.layers.blocks.ConvNormReLU`."""

    def __init__(self, c_in: int, c_out: int, size: int):
        super().__init__()
        self.add_module("conv", conv(c_in, c_out, size, bias=False))
        self.add_module("bn", nn.BatchNorm2d(c_out))
        self.add_module("relu", nn.ReLU(inplace=True))


class PyramidPooling(nn.Module):
    """Ours: `gcn_jax.models.pspnet.PyramidPooling`."""

    def __init__(self, channels: int):
        super().__init__()
        for bins in BINS:
            self.add_module(f"bins{bins}", ConvNormReLU(channels, channels // len(BINS), 1))

    def forward(self, x):
        """Map `[N, C, H, W]` to `[N, 2 * C, H, W]`."""
        levels = [x]
        for bins in BINS:
            level = getattr(self, f"bins{bins}")(F.adaptive_avg_pool2d(x, bins))
            levels.append(F.interpolate(level, x.shape[2:], mode="bilinear", align_corners=True))
        return torch.cat(levels, dim=1)


class Classifier(nn.Sequential):
    """Ours: `gcn_jax.models.layers.blocks.ScoreHead`."""

    def __init__(self, c_in: int, width: int, num_classes: int):
        super().__init__()
        self.add_module("reduce", ConvNormReLU(c_in, width, 3))
        self.add_module("dropout", nn.Dropout(DROPOUT))
        self.add_module("score", conv(width, num_classes, 1))


class PSPNet(Network):
    """Ours: `gcn_jax.models.PSPNet`, with a stem of three convolutions and the auxiliary head."""

    def __init__(self, num_classes: int, depth: int = 101):
        super().__init__()
        self.backbone = ResNet(depth, output_stride=8, deep_stem=True, ceil_mode=True)
        self.ppm = PyramidPooling(2048)
        self.head = Classifier(4096, 512, num_classes)
        self.auxiliary_head = Classifier(1024, 256, num_classes)

    def forward(self, images):
        """Score the classes at every pixel, as `Network` says."""

        def classify(head, x):
            return sample_bilinear(head(x).float(), images.shape[2:], (1, 8))

        *_, res4, res5 = self.backbone(images)
        logits = classify(self.head, self.ppm(res5))
        if not self.training:
            return logits
        auxiliary = classify(self.auxiliary_head, res4)
        return {"logits": (1.0, logits), "res4": (AUXILIARY_WEIGHT, auxiliary)}
