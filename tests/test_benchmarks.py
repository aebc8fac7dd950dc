"""The networks of PyTorch that ours are timed against are ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util

from gcn_jax import models
from gcn_jax.models.layers import AUXILIARY
from gcn_jax.training.objective import MEAN_CROSS_ENTROPY

torch = pytest.importorskip("torch", reason="PyTorch is in the extra `bench`")

from benchmarks import torch_gcn, torch_layers, torch_resnet, torch_vgg  # noqa: E402 (PyTorch)
from benchmarks.contestants import TITLES  # noqa: E402 (PyTorch)
from benchmarks.torch_networks import TWINS  # noqa: E402 (PyTorch)

NUM_CLASSES = 5
DEPTH = {"depth": 50}

#: Ours and its twin, of few channels or layers.
PAIRS = {
    "gcn": (
        models.GCN(NUM_CLASSES, "resnet50", kernel_size=7),
        torch_gcn.GCN(NUM_CLASSES, 50, kernel_size=7),
    ),
    "fcn8s": (models.FCN(NUM_CLASSES, width=1 / 16), torch_vgg.FCN8s(NUM_CLASSES, 1 / 16)),
    "segnet": (models.SegNet(NUM_CLASSES, width=1 / 16), torch_vgg.SegNet(NUM_CLASSES, 1 / 16)),
    "deeplab_largefov": (
        models.DeepLabLargeFOV(NUM_CLASSES, width=1 / 16),
        torch_vgg.DeepLabLargeFOV(NUM_CLASSES, 1 / 16),
    ),
    "deeplab_v2": (
        models.DeepLabV2(NUM_CLASSES, "resnet50"),
        torch_resnet.DeepLabV2(NUM_CLASSES, depth=50),
    ),
    "pspnet": (
        models.PSPNet(NUM_CLASSES, "resnet50s"),
        torch_resnet.PSPNet(NUM_CLASSES, depth=50),
    ),
}


@pytest.fixture(scope="module")
def batch():
    """Images, normalised, of a size that no stride divides, and labels with void."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, NUM_CLASSES, (2, 65, 70), np.uint8)
    labels[rng.random(labels.shape) < 0.1] = 255
    return rng.standard_normal((2, 65, 70, 3)).astype("float32"), labels


@pytest.fixture(scope="module", params=PAIRS)
def pair(request, batch):
    """Ours, its variables, and the twin that has them."""
    model, twin = PAIRS[request.param]
    variables = _random_variables(model, batch[0])
    torch_layers.load(twin, variables)
    return model, variables, twin


def test_the_twin_of_pytorch_gives_our_logits(pair, batch):
    model, variables, twin = pair
    images, _ = batch
    # Not under jit: the layers run one by one sooner than they are compiled together.
    logits = np.asarray(model.apply(variables, images))
    with torch.inference_mode():
        theirs = twin.eval()(_channels_first(images)).permute(0, 2, 3, 1).numpy()
    assert logits.std(axis=(1, 2)).min() > 0.01 * np.abs(logits).max()  # not of the biases alone
    np.testing.assert_allclose(theirs, logits, atol=1e-4 * np.abs(logits).max())


def test_the_twin_of_pytorch_has_our_losses(pair, batch):
    model, variables, twin = pair
    images, labels = batch
    dropouts = []

    def without_dropout(call, args, kwargs, context):
        if not isinstance(context.module, nn.Dropout):
            return call(*args, **kwargs)
        dropouts.append(context.module.rate)
        return args[0]

    with nn.intercept_methods(without_dropout):
        logits, updates = model.apply(
            variables, images, train=True, mutable=["batch_stats", AUXILIARY]
        )
    ours = {"logits": (1.0, logits), **updates.get(AUXILIARY, {})}
    stride = getattr(model, "label_stride", 1)
    strided = jnp.asarray(labels[:, ::stride, ::stride])
    counts = MEAN_CROSS_ENTROPY.counts(strided)
    loss = sum(
        weight * MEAN_CROSS_ENTROPY(logits=logits, labels=strided, counts=counts)
        for weight, logits in ours.values()
    )

    their_dropouts = []
    for module in twin.train().modules():
        if isinstance(module, torch.nn.Dropout):
            module.register_forward_hook(lambda layer, x, y: their_dropouts.append(layer.p) or x[0])
    with torch.no_grad():
        theirs = twin(_channels_first(images))
        their_loss = torch_layers.training_loss(
            twin, _channels_first(images), torch.from_numpy(labels).long()
        )
    their_dropouts = their_dropouts[: len(their_dropouts) // 2]
    assert their_dropouts == dropouts
    assert {k: (w, v.shape[2:]) for k, (w, v) in theirs.items()} == {
        k: (w, v.shape[1:3]) for k, (w, v) in ours.items()
    }
    np.testing.assert_allclose(their_loss, loss, rtol=1e-3)


def test_variables_of_another_network_are_refused(batch):
    variables = _random_variables(PAIRS["deeplab_largefov"][0], batch[0])
    with pytest.raises(RuntimeError, match="score_fr"):
        torch_layers.load(PAIRS["fcn8s"][1], variables)


def test_every_network_that_is_timed_has_a_twin():
    assert list(TWINS) == list(TITLES)
    for name, twin in TWINS.items():
        images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
        shapes = jax.eval_shape(models.create_model(name, num_classes=21).init, KEY, images)
        count = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
        with torch.device("meta"):
            assert sum(p.numel() for p in twin(21).parameters()) == count, name


KEY = jax.random.key(0)


def _random_variables(model, images):
    """Draw what an initialiser sets to zeros or ones, too, of a size that keeps scores moderate."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, KEY, images)

    def draw(path, leaf):
        if path[-1] in ("scale", "var"):
            return rng.uniform(0.5, 1.5, leaf.shape)
        if path[-1] == "kernel":
            return rng.normal(0, (2 / np.prod(leaf.shape[:-1])) ** 0.5, leaf.shape)
        return rng.normal(0, 0.1, leaf.shape)

    flat = traverse_util.flatten_dict(shapes)
    return traverse_util.unflatten_dict({k: draw(k, v).astype("float32") for k, v in flat.items()})


def _channels_first(images):
    return torch.from_numpy(images.transpose(0, 3, 1, 2))
