"""The networks of PyTorch that ours are timed against are ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax import models
from gcn_jax.models.layers import plain_formulation
from gcn_jax.models.network import AUXILIARY, variable_shapes
from gcn_jax.training.objective import MEAN_CROSS_ENTROPY
from tests.helpers.networks import without_dropout
from tests.helpers.random_values import random_variables

torch = pytest.importorskip("torch", reason="PyTorch is in the extra `bench`")

from benchmarks import torch_gcn, torch_layers, torch_resnet, torch_vgg  # noqa: E402 (PyTorch)
from benchmarks.contestants import MODERN_TITLES, TITLES  # noqa: E402 (PyTorch)
from benchmarks.torch_networks import TWINS  # noqa: E402 (PyTorch)

C, WIDTH, DEPTH = 5, 1 / 16, 50  # few classes, channels and layers

#: Ours and its twin.
PAIRS = {
    "gcn": (
        models.GCN(C, "resnet50", kernel_size=7),
        torch_gcn.GCN(C, DEPTH, kernel_size=7),
    ),
    "fcn8s": (models.FCN(C, width=WIDTH), torch_vgg.FCN8s(C, WIDTH)),
    "segnet": (models.SegNet(C, width=WIDTH), torch_vgg.SegNet(C, WIDTH)),
    "largefov": (models.DeepLabLargeFOV(C, width=WIDTH), torch_vgg.DeepLabLargeFOV(C, WIDTH)),
    "deeplab_v2": (models.DeepLabV2(C, "resnet50"), torch_resnet.DeepLabV2(C, DEPTH)),
    "pspnet": (models.PSPNet(C, "resnet50s"), torch_resnet.PSPNet(C, DEPTH)),
}


@pytest.fixture(autouse=True)
def _few_operations_to_compile():
    # On a CPU ours has other words for them (tests/models/test_cpu.py holds these to the plain).
    with plain_formulation():
        yield


@pytest.fixture(scope="module")
def batch():
    """Images, normalised, of a size that no stride divides, and labels with void."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, C, (2, 65, 70), np.uint8)
    labels[rng.random(labels.shape) < 0.1] = 255
    return rng.standard_normal((2, 65, 70, 3)).astype("float32"), labels


@pytest.fixture(scope="module", params=PAIRS)
def pair(request):
    """Ours, its variables, and the twin that has them."""
    model, twin = PAIRS[request.param]
    variables = random_variables(model)
    torch_layers.load(twin, variables)
    return model, variables, twin


def test_the_twin_of_pytorch_gives_our_logits(pair, batch):
    (model, variables, twin), (images, _) = pair, batch
    # Not under jit: the layers run one by one sooner than they are compiled together.
    logits = np.asarray(model.apply(variables, images))
    with torch.inference_mode():
        theirs = twin.eval()(_channels_first(images)).permute(0, 2, 3, 1).numpy()
    assert logits.std(axis=(1, 2)).min() > 0.01 * np.abs(logits).max()  # not the biases' alone
    np.testing.assert_allclose(theirs, logits, atol=1e-4 * np.abs(logits).max())


def test_the_twin_of_pytorch_has_our_losses_and_dropouts(pair, batch):
    (model, variables, twin), (images, labels) = pair, batch
    their_rates = []

    with without_dropout() as rates:
        logits, updates = model.apply(
            variables, images, train=True, mutable=["batch_stats", AUXILIARY]
        )
    ours = {"logits": (1.0, logits), **updates.get(AUXILIARY, {})}

    def their_rate(layer, inputs, _):
        their_rates.append(layer.p)
        return inputs[0]

    for layer in twin.train().modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.register_forward_hook(their_rate)
    with torch.no_grad():
        theirs = twin(_channels_first(images))
        their_loss = twin.loss(theirs, torch.from_numpy(labels).long())

    assert their_rates == rates
    assert {name: weight for name, (weight, _) in theirs.items()} == {
        name: weight for name, (weight, _) in ours.items()
    }
    np.testing.assert_allclose(their_loss, _step_loss(model, ours, labels), rtol=1e-4)


def _step_loss(model, scored, labels):
    """Return what `make_train_step` makes of these logits."""
    stride = model.label_stride
    strides = model.auxiliary_strides
    total = 0
    for name, (weight, logits) in scored.items():
        size = logits.shape[1:3]
        rows, columns = (
            np.rint(strides.get(name, stride) * np.arange(n)).astype(int) for n in size
        )
        nearest = labels[:, rows[:, None], columns]
        counts = MEAN_CROSS_ENTROPY.counts(nearest)
        total += weight * MEAN_CROSS_ENTROPY(logits=logits, labels=nearest, counts=counts)
    return total


def test_variables_of_another_network_are_refused():
    variables = random_variables(PAIRS["largefov"][0])
    with pytest.raises(RuntimeError, match="score_fr"):
        torch_layers.load(PAIRS["fcn8s"][1], variables)


@pytest.mark.parametrize("name", TITLES)
def test_the_twin_that_is_timed_has_as_many_parameters(name):
    model = models.create_model(name, num_classes=21)
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    with torch.device("meta"):
        twin = TWINS[name](21)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert sum(p.numel() for p in twin.parameters()) == count


@pytest.mark.parametrize("name", MODERN_TITLES)
def test_the_library_that_is_timed_has_as_many_parameters(name):
    for library in ("transformers", "segmentation_models_pytorch"):
        pytest.importorskip(library, reason="a benchmark's other side, in no extra")
    from benchmarks.torch_modern import MODERN_TWINS

    model = models.create_model(name, num_classes=21)
    count = sum(leaf.size for leaf in jax.tree.leaves(variable_shapes(model)["params"]))
    assert sum(p.numel() for p in MODERN_TWINS[name](21).parameters()) == count


def _channels_first(images):
    return torch.from_numpy(images.transpose(0, 3, 1, 2))
