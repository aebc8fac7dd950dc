"""GCN on a ResNet of bottlenecks in PyTorch."""

from torch import nn
from torch.nn import functional as F

from benchmarks.torch_layers import Network, ResNet, conv


class GlobalConv(nn.Module):
    """Ours: `gcn_jax.models.gcn_heads.GlobalConv`."""

    def __init__(self, c_in: int, c_out: int, k: int):
        super().__init__()
        self.left_k1, self.left_1k = conv(c_in, c_out, (k, 1)), conv(c_out, c_out, (1, k))
        self.right_1k, self.right_k1 = conv(c_in, c_out, (1, k)), conv(c_out, c_out, (k, 1))

    def forward(self, x):
        """Map `[N, c_in, H, W]` to `[N, c_out, H, W]`."""
        return self.left_1k(self.left_k1(x)) + self.right_k1(self.right_1k(x))


class BoundaryRefine(nn.Module):
    """Ours: `gcn_jax.models.gcn.BoundaryRefine`."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = conv(channels, channels, 3), conv(channels, channels, 3)

    def forward(self, scores):
        """Refine `[N, C, H, W]`."""
        return scores + self.conv2(F.relu(self.conv1(scores), inplace=True))


class GCN(Network):
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
        """Score the classes at every pixel, as `Network` says."""
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
        logits = scores.float()
        return {"logits": (1.0, logits)} if self.training else logits

    def _upsample(self, scores, step, size):
        return getattr(self, f"deconv{step}")(scores)[:, :, : size[0], : size[1]]
