"""The same network in PyTorch: GCN on a ResNet of bottlenecks, as a PyTorch user would write it.

Layers bear the names of ours, and `load` copies our variables into them, so that the logits of both
can be compared (`tests/test_benchmarks.py`): what is timed is one network, not two alike.
"""

import jax
import numpy as np
import torch
from flax import traverse_util
from torch import nn
from torch.nn import functional as F

from gcn_jax.models.resnet import VARIANTS


def _conv(c_in: int, c_out: int, kh: int, kw: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, (kh, kw), stride, ((kh - 1) // 2, (kw - 1) // 2), bias=bias)


class Bottleneck(nn.Module):
    """Ours: `gcn_jax.models.resnet.Bottleneck`, on `[N, C, H, W]`."""

    def __init__(self, c_in: int, width: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = _conv(c_in, width, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, 3, stride, False), nn.BatchNorm2d(width)
        self.conv3 = _conv(width, 4 * width, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.has_projection = stride > 1 or c_in != 4 * width
        if self.has_projection:
            self.shortcut_conv = _conv(c_in, 4 * width, 1, 1, stride, False)
            self.shortcut_bn = nn.BatchNorm2d(4 * width)

    def forward(self, x):
        """Map `[N, C, H, W]` to `[N, 4 * width, ceil(H / stride), ceil(W / stride)]`."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += self.shortcut_bn(self.shortcut_conv(x)) if self.has_projection else x
        return F.relu(y, inplace=True)


class ResNet(nn.Module):
    """Ours: `gcn_jax.models.resnet.ResNet`, of depth 50, 101 or 152, without the classifier."""

    def __init__(self, depth: int):
        super().__init__()
        self.conv1, self.bn1 = _conv(3, 64, 7, 7, 2, bias=False), nn.BatchNorm2d(64)
        self.levels, channels = [], 64
        for level, num_blocks in zip((2, 3, 4, 5), VARIANTS[depth][1], strict=True):
            names = [f"res{level}_block{i + 1}" for i in range(num_blocks)]
            for i, name in enumerate(names):
                width, stride = 64 * 2 ** (level - 2), 2 if level > 2 and i == 0 else 1
                self.add_module(name, Bottleneck(channels, width, stride))
                channels = 4 * width
            self.levels.append(names)

    def forward(self, x):
        """Return the features of res2 to res5."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        features = []
        for names in self.levels:
            for name in names:
                x = getattr(self, name)(x)
            features.append(x)
        return features


class GlobalConv(nn.Module):
    """Ours: `gcn_jax.models.heads.GlobalConv`."""

    def __init__(self, c_in: int, c_out: int, k: int):
        super().__init__()
        self.left_k1, self.left_1k = _conv(c_in, c_out, k, 1), _conv(c_out, c_out, 1, k)
        self.right_1k, self.right_k1 = _conv(c_in, c_out, 1, k), _conv(c_out, c_out, k, 1)

    def forward(self, x):
        """Map `[N, c_in, H, W]` to `[N, c_out, H, W]`."""
        return self.left_1k(self.left_k1(x)) + self.right_k1(self.right_1k(x))


class BoundaryRefine(nn.Module):
    """Ours: `gcn_jax.models.gcn.BoundaryRefine`."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = _conv(channels, channels, 3, 3), _conv(channels, channels, 3, 3)

    def forward(self, scores):
        """Refine `[N, C, H, W]`."""
        return scores + self.conv2(F.relu(self.conv1(scores), inplace=True))


class GCN(nn.Module):
    """Ours: `gcn_jax.models.GCN`, with learnable deconvolutions and all boundary refinements."""

    def __init__(self, num_classes: int, depth: int = 50, kernel_size: int = 15):
        super().__init__()
        self.backbone = ResNet(depth)
        for level in (2, 3, 4, 5):
            head = GlobalConv(64 * 2**level, num_classes, kernel_size)
            self.add_module(f"gcn{level}", head)
        for name in ("2", "3", "4", "5", "_sum2", "_sum3", "_sum4", "_up2", "_up1"):
            self.add_module(f"refine{name}", BoundaryRefine(num_classes))
        for step in (1, 2, 3, 4, 5):
            deconv = nn.ConvTranspose2d(num_classes, num_classes, 4, 2, 1, bias=False)
            self.add_module(f"deconv{step}", deconv)

    def forward(self, images):
        """Score the classes at every pixel: `[N, 3, H, W]` to logits `[N, num_classes, H, W]`."""
        features = dict(zip((2, 3, 4, 5), self.backbone(images), strict=True))
        scores = self.refine5(self.gcn5(features[5]))
        for level in (4, 3, 2):
            finer = getattr(self, f"refine{level}")(getattr(self, f"gcn{level}")(features[level]))
            scores = self._upsample(scores, level + 1, finer.shape[2:])
            scores = getattr(self, f"refine_sum{level}")(scores + finer)
        height, width = images.shape[2:]
        for step in (2, 1):
            scores = self._upsample(scores, step, (-(-height // step), -(-width // step)))
            scores = getattr(self, f"refine_up{step}")(scores)
        return scores.float()

    def _upsample(self, scores, step, size):
        return getattr(self, f"deconv{step}")(scores)[:, :, : size[0], : size[1]]


def load(network: GCN, variables: dict) -> None:
    """Copy the variables of our `GCN` into a network, by name; a name or shape that differs raises.

    Args:
        network: What is filled.
        variables: params and batch_stats of a `gcn_jax.models.GCN` of the same settings.
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
