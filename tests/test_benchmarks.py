"""The network of PyTorch that ours is timed against is ours."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from gcn_jax.models import GCN

torch = pytest.importorskip("torch", reason="PyTorch is in the extra `bench`")

from benchmarks import torch_gcn  # noqa: E402 (needs PyTorch)


def test_the_twin_of_pytorch_gives_our_logits():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((2, 65, 70, 3)).astype("float32")
    model = GCN(num_classes=5, backbone="resnet50", kernel_size=7)
    shapes = traverse_util.flatten_dict(jax.eval_shape(model.init, jax.random.key(0), images))
    # Random where an initialiser gives zeros or ones, and of a size that keeps the scores near 1.
    variables = traverse_util.unflatten_dict(
        {
            path: rng.uniform(0.5, 1.5, leaf.shape).astype("float32")
            if path[-1] in ("scale", "var")
            else rng.normal(0, np.prod(leaf.shape[:-1]) ** -0.5, leaf.shape).astype("float32")
            for path, leaf in shapes.items()
        }
    )
    twin = torch_gcn.GCN(5, depth=50, kernel_size=7).eval()
    torch_gcn.load(twin, variables)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert sum(p.numel() for p in twin.parameters()) == count

    # Not under jit: the layers run one by one sooner than they are compiled together.
    logits = np.asarray(model.apply(variables, images))
    with torch.inference_mode():
        theirs = twin(torch.from_numpy(images.transpose(0, 3, 1, 2))).permute(0, 2, 3, 1).numpy()
    assert 0.1 < logits.std() < 100
    np.testing.assert_allclose(theirs, logits, atol=1e-4 * np.abs(logits).max())
