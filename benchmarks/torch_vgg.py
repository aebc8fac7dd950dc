"""The rivals on VGG-16 in PyTorch: FCN-8s, SegNet, DeepLab-LargeFOV."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.torch_layers import VGG16, ConvStack, Network, conv, sample_bilinear
from gcn_jax.models.backbones.vgg import STAGES, scaled
from gcn_jax.models.layers import bilinear_taps


class FCNBackbone(VGG16):
    """Ours: `gcn_jax.models.fcn.FCNBackbone`."""

    settings = {1: {"first_padding": 100}}
    fc6_settings = {"size": 7, "padding": 0}

    def forward(self, x):
        """Return pool3, pool4, fc7."""
        features = []
        for number in (1, 2, 3, 4, 5):
            x = F.max_pool2d(getattr(self, f"stage{number}")(x), 2, ceil_mode=True)
            features.append(x)
        return features[2], features[3], self.fully_connected(x)


class BilinearUpsample(nn.Module):
    """Ours: `gcn_jax.models.fcn.Upsample` that does not learn: a deconvolution of each channel."""

    def __init__(self, channels: int, factor: int):
        super().__init__()
        taps = torch.from_numpy(bilinear_taps(factor)).float()
        kernel = torch.outer(taps, taps).repeat(channels, 1, 1, 1)
        self.factor = factor
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x):
        """Map `[N, C, H, W]` to `[N, C, f * (H + 1), f * (W + 1)]`."""
        return F.conv_transpose2d(x, self.kernel, stride=self.factor, groups=x.shape[1])


class FCN8s(Network):
    """Ours: `gcn_jax.models.FCN`, of stride 8, whose upsampling does not learn."""

    def __init__(self, num_classes: int, width: float = 1.0):
        super().__init__()
        self.backbone = FCNBackbone(width, dense=4096)
        self.score_fr = conv(scaled(4096, width), num_classes, 1)
        self.score_pool4 = conv(scaled(512, width), num_classes, 1)
        self.score_pool3 = conv(scaled(256, width), num_classes, 1)
        self.upscore2 = BilinearUpsample(num_classes, 2)
        self.upscore_pool4 = BilinearUpsample(num_classes, 2)
        self.upscore8 = BilinearUpsample(num_classes, 8)

    def forward(self, images):
        """Score the classes at every pixel, as `Network` says."""
        pool3, pool4, fc7 = self.backbone(images)
        scores = self.upscore2(self.score_fr(fc7))
        scores = scores + self.score_pool4(_crop(pool4, 5, scores))
        scores = self.upscore_pool4(scores)
        scores = scores + self.score_pool3(_crop(pool3, 9, scores))
        logits = _crop(self.upscore8(scores), 31, images).float()
        return {"logits": (1.0, logits)} if self.training else logits


def _crop(x, offset, like):
    height, width = like.shape[2:]
    return x[:, :, offset : offset + height, offset : offset + width]


class SegNetEncoder(VGG16):
    """Ours: `gcn_jax.models.segnet.SegNetEncoder`."""

    def forward(self, x):
        """Return the features, and the indices and the size before each pooling."""
        poolings = []
        for number in (1, 2, 3, 4, 5):
            x = getattr(self, f"stage{number}")(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
            poolings.append((indices, size))
        return x, poolings


class SegNet(Network):
    """Ours: `gcn_jax.models.SegNet`."""

    def __init__(self, num_classes: int, width: float = 1.0):
        super().__init__()
        self.backbone = SegNetEncoder(width, norm=True)
        for number in (5, 4, 3, 2, 1):
            count, channels = STAGES[number - 1]
            before = () if number == 1 else (STAGES[number - 2][1],)
            channels = [scaled(c, width) for c in ((count - 1) * (channels,) + before)]
            c_in = scaled(STAGES[number - 1][1], width)
            self.add_module(f"decoder{number}", ConvStack(c_in, channels, norm=True))
        self.score = conv(scaled(64, width), num_classes, 3)

    def forward(self, images):
        """Score the classes at every pixel, as `Network` says."""
        x, poolings = self.backbone(images)
        for number in (5, 4, 3, 2, 1):
            indices, size = poolings[number - 1]
            x = F.max_unpool2d(x, indices, 2, output_size=size)
            x = getattr(self, f"decoder{number}")(x)
        logits = self.score(x).float()
        return {"logits": (1.0, logits)} if self.training else logits


class LargeFOVBackbone(VGG16):
    """Ours: `gcn_jax.models.deeplab_largefov.LargeFOVBackbone`."""

    settings = {5: {"dilation": 2}}
    fc6_settings = {"size": 3, "dilation": 12}

    def forward(self, x):
        """Map `[N, 3, H, W]` to fc7, `[N, C, ceil(H / 8), ceil(W / 8)]`."""
        for number, stride in ((1, 2), (2, 2), (3, 2), (4, 1), (5, 1)):
            x = F.max_pool2d(getattr(self, f"stage{number}")(x), 3, stride, 1)
        return self.fully_connected(F.avg_pool2d(x, 3, 1, 1))


class DeepLabLargeFOV(Network):
    """Ours: `gcn_jax.models.DeepLabLargeFOV`."""

    label_stride = 8

    def __init__(self, num_classes: int, width: float = 1.0):
        super().__init__()
        self.backbone = LargeFOVBackbone(width, dense=1024)
        self.fc8 = conv(scaled(1024, width), num_classes, 1)

    def forward(self, images):
        """Score the classes, as `Network` says."""
        logits = self.fc8(self.backbone(images)).float()
        if self.training:
            return {"logits": (1.0, logits)}
        return sample_bilinear(logits, images.shape[2:], (1, 8))
