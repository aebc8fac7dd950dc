"""Layers of the networks in PyTorch, as a PyTorch user would write them.

Layers bear the names of ours, and `load` copies our variables into a network, so that the logits of
both can be compared (`tests/benchmarks/test_benchmarks.py`): what is timed is one network, not two
alike.
"""

from collections.abc import Mapping
from typing import ClassVar

import jax
import numpy as np
import torch
from flax import traverse_util
from torch import nn
from torch.nn import functional as F

from gcn_jax.models.backbones.resnet import STRIDES, VARIANTS
from gcn_jax.models.backbones.vgg import STAGES, scaled


def conv(
    c_in: int,
    c_out: int,
    size: int | tuple[int, int],
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: int | None = None,
    bias: bool = True,
) -> nn.Conv2d:
    """Return a convolution.

    Args:
        c_in: Channels that come in.
        c_out: Channels that go out.
        size: Height and width of the kernel; one number for a square.
        stride: Its step along both axes.
        dilation: The distance between its taps along both axes.
        padding: Zeros around the image; None for as many as keep the size at stride 1.
        bias: Whether it has biases.
    """
    size = (size, size) if isinstance(size, int) else size
    if padding is None:
        padding = tuple(dilation * (k - 1) // 2 for k in size)
    return nn.Conv2d(c_in, c_out, size, stride, padding, dilation, bias=bias)


class Network(nn.Module):
    """A network that is timed.

    `network(images)` maps normalised images `[N, 3, H, W]` to logits, float32
    `[N, num_classes, H, W]`; in training to a dict of all that has a loss, name -> (weight,
    logits), where "logits" are what ours returns and the others what it sows
    (`SegmentationNetwork.sow_auxiliary`).

    Attributes:
        label_stride: The stride of the labels that logits are for in training: 2 for every second
            pixel.
        auxiliary_strides: Name -> the stride of each of the other logits, which may be a fraction,
            where it is not the same.
    """

    label_stride = 1
    auxiliary_strides: ClassVar[Mapping[str, float]] = {}

    def loss(self, scored: dict[str, tuple[float, torch.Tensor]], labels: torch.Tensor):
        """Return what our training step minimises: weighted mean cross-entropies, without void.

        Args:
            scored: What the network returned in training.
            labels: int64 `[N, H, W]`; 255 is void.
        """
        total, strides = 0, {"logits": self.label_stride, **self.auxiliary_strides}
        for name, (weight, logits) in scored.items():
            stride = strides[name] if self.auxiliary_strides else self.label_stride
            nearest = _subsample(labels, stride)
            total += weight * F.cross_entropy(logits, nearest, ignore_index=255)
        return total


def _subsample(labels, stride):
    if stride == int(stride):
        return labels[:, :: int(stride), :: int(stride)]
    counts = (int((n - 1) / stride) + 1 for n in labels.shape[1:])
    rows, columns = ((stride * torch.arange(n)).round().long().to(labels.device) for n in counts)
    return labels[:, rows[:, None], columns]


class Bottleneck(nn.Module):
    """Ours: `gcn_jax.models.backbones.resnet.Bottleneck`, on `[N, C, H, W]`."""

    def __init__(self, c_in: int, width: int, stride: int, dilation: int):
        super().__init__()
        self.conv1, self.bn1 = conv(c_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride=stride, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.has_projection = stride > 1 or c_in != 4 * width
        if self.has_projection:
            self.shortcut_conv = conv(c_in, 4 * width, 1, stride=stride, bias=False)
            self.shortcut_bn = nn.BatchNorm2d(4 * width)

    def forward(self, x):
        """Map `[N, C, H, W]` to `[N, 4 * width, ceil(H / stride), ceil(W / stride)]`."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += self.shortcut_bn(self.shortcut_conv(x)) if self.has_projection else x
        return F.relu(y, inplace=True)


class ResNet(nn.Module):
    """Ours: `gcn_jax.models.backbones.resnet.ResNet`, depth 50, 101 or 152, no classifier."""

    def __init__(
        self, depth: int, output_stride: int = 32, deep_stem: bool = False, ceil_mode: bool = False
    ):
        super().__init__()
        self.ceil_mode = ceil_mode
        if deep_stem:
            stem = [("1_1", 64, 3, 2), ("1_2", 64, 3, 1), ("1_3", 128, 3, 1)]
        else:
            stem = [("1", 64, 7, 2)]
        self.stem, channels = [f"{{}}{suffix}" for suffix, *_ in stem], 3
        for suffix, width, size, stride in stem:
            layer = conv(channels, width, size, stride=stride, bias=False)
            self.add_module(f"conv{suffix}", layer)
            self.add_module(f"bn{suffix}", nn.BatchNorm2d(width))
            channels = width
        self.levels = []
        strides = STRIDES[output_stride]
        for level, num_blocks in zip((2, 3, 4, 5), VARIANTS[depth][1], strict=True):
            dilation = 2**level // strides[level - 2]
            names = [f"res{level}_block{i + 1}" for i in range(num_blocks)]
            for i, name in enumerate(names):
                stride = 2 if level > 2 and i == 0 and dilation == 1 else 1
                width = 64 * 2 ** (level - 2)
                self.add_module(name, Bottleneck(channels, width, stride, dilation))
                channels = 4 * width
            self.levels.append(names)

    def forward(self, x):
        """Return the features of res2 to res5."""
        for name in self.stem:
            layer, norm = getattr(self, name.format("conv")), getattr(self, name.format("bn"))
            x = F.relu(norm(layer(x)), inplace=True)
        x = F.max_pool2d(x, 3, 2, 1, ceil_mode=self.ceil_mode)
        features = []
        for names in self.levels:
            for name in names:
                x = getattr(self, name)(x)
            features.append(x)
        return features


class ConvStack(nn.Module):
    """Ours: `gcn_jax.models.backbones.vgg.ConvStack`, on `[N, C, H, W]`."""

    def __init__(
        self,
        c_in: int,
        channels: tuple[int, ...],
        *,
        first_padding: int | None = None,
        dilation: int = 1,
        norm: bool = False,
    ):
        super().__init__()
        self.count, self.norm = len(channels), norm
        for i, width in enumerate(channels, start=1):
            padding = first_padding if i == 1 else None
            layer = conv(c_in, width, 3, dilation=dilation, padding=padding)
            self.add_module(f"conv{i}", layer)
            if norm:
                self.add_module(f"bn{i}", nn.BatchNorm2d(width))
            c_in = width

    def forward(self, x):
        """Map `[N, c_in, H, W]` to `[N, channels[-1], H', W']`."""
        for i in range(1, self.count + 1):
            x = getattr(self, f"conv{i}")(x)
            if self.norm:
                x = getattr(self, f"bn{i}")(x)
            x = F.relu(x, inplace=True)
        return x


class VGG16(nn.Module):
    """Ours: `gcn_jax.models.backbones.vgg.VGG16`: "stage1" to "stage5", fc6 and fc7."""

    #: Number of a stage -> settings of its `ConvStack`; settings of fc6.
    settings, fc6_settings = {}, {}

    def __init__(self, width: float, dense: int | None = None, norm: bool = False):
        super().__init__()
        c_in = 3
        for number, (count, channels) in enumerate(STAGES, start=1):
            channels = count * (scaled(channels, width),)
            stack = ConvStack(c_in, channels, norm=norm, **self.settings.get(number, {}))
            self.add_module(f"stage{number}", stack)
            c_in = channels[-1]
        if dense is not None:
            dense = scaled(dense, width)
            self.fc6, self.fc7 = conv(c_in, dense, **self.fc6_settings), conv(dense, dense, 1)
            self.dropout = nn.Dropout(0.5)

    def fully_connected(self, x):
        """Apply fc6 and fc7, each with ReLU and dropout."""
        x = self.dropout(F.relu(self.fc6(x), inplace=True))
        return self.dropout(F.relu(self.fc7(x), inplace=True))


def sample_bilinear(x: torch.Tensor, size: tuple[int, int], step: tuple[int, int]) -> torch.Tensor:
    """Ours: `gcn_jax.models.layers.sample_bilinear`, `[N, C, H, W]` to `[N, C, *size]`.

    That is a resizing with aligned corners once the last sample lies on a pixel: x is cut there, or
    its border is repeated, and samples too many are cut.

    Args:
        x: What is sampled.
        size: Height and width.
        step: Distance of samples in pixels of x, as numerator and denominator.
    """
    over, under = step
    last = [under * -(-(n - 1) // under) for n in size]
    beyond = [over * i // under + 1 - n for i, n in zip(last, x.shape[2:], strict=True)]
    if any(beyond):
        x = F.pad(x, (0, beyond[1], 0, beyond[0]), mode="replicate")
    x = F.interpolate(x, [i + 1 for i in last], mode="bilinear", align_corners=True)
    return x[:, :, : size[0], : size[1]]


def load(network: Network, variables: dict) -> None:
    """Copy the variables of ours into its twin, by name; a name or shape that differs raises.

    Args:
        network: The network to fill.
        variables: The params and batch_stats of our network of the same settings.
    """
    names = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
    state = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
    for leaves in variables.values():
        for (*layer, leaf), array in traverse_util.flatten_dict(jax.device_get(leaves)).items():
            if layer[-1].startswith("deconv"):  # [4, 4, in, out], flipped, to [in, out, 4, 4]
                array = array[::-1, ::-1].transpose(2, 3, 0, 1)
            elif leaf == "kernel":
                array = array.transpose(3, 2, 0, 1)
            name = ".".join([*layer, names.get(leaf, leaf)])
            state[name] = torch.from_numpy(np.array(array))
    network.load_state_dict(state)
