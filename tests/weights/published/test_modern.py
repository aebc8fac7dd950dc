"""Networks of segmentation_models.pytorch and of transformers: recognised, converted, with theirs.

`tests/fixtures/published/` has names, shapes and logits of their code.
"""

import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models import create_model
from gcn_jax.models.network import AUXILIARY
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.weights.published.registry import FAMILIES, identify
from tests.helpers import published_networks as published
from tests.helpers.networks import without_dropout
from tests.helpers.random_values import normal

#: File -> (network, the first kernel of its scores).
NETWORKS = {
    "smp_unet_resnet34": ("unet_resnet34", "segmentation_head.0.weight"),
    "smp_fpn_resnet34": ("fpn_resnet34", "segmentation_head.0.weight"),
    "smp_deeplabv3plus_resnet50": ("deeplabv3plus_resnet50", "segmentation_head.0.weight"),
    "upernet_convnext_tiny": ("upernet_convnext_tiny", "decode_head.classifier.weight"),
    "segformer_b0": ("segformer_b0", "decode_head.classifier.weight"),
    "segformer_b2": ("segformer_b2", "decode_head.classifier.weight"),
}
QUICK = ("smp_unet_resnet34", "65x97/logits_every3")


def keys(file, word):
    with np.load(published.FOLDER / f"{file}.npz") as arrays:
        return [key for key in arrays if word in key]


def loaded(file, **fields):
    """Return the network of a file with seeded values, and its variables."""
    found = identify(published.tensors(published.shapes(file)))
    model = create_model(found.identity.network, **found.identity.fields, **fields)
    return model, found.family.convert(found.tensors, model)


def compare(found, file, key, atol=1e-5):
    step = int(key[-1]) if "every" in key else 1
    with np.load(published.FOLDER / f"{file}.npz") as arrays:
        expected = arrays[key]
    found = np.asarray(found)[:, ::step, ::step, :: 4 if step == 4 else 1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def images(key):
    height, width = map(int, key.partition("/")[0].split("x"))
    return normal(1, height, width, 3, seed=height)


@pytest.mark.parametrize("file", NETWORKS)
def test_a_file_is_recognised_by_names_and_shapes(file):
    network, score = NETWORKS[file]
    shapes = published.shapes(file)
    hollow = published.hollow(shapes)
    family, identity, _ = identify({f"module.{name}": array for name, array in hollow.items()})
    assert identity == (network, {"num_classes": 21})
    assert {*family.names} <= {*hollow}
    assert (family.mean, family.std) == (IMAGENET_MEAN, IMAGENET_STD)
    hollow[score] = np.broadcast_to(np.float32(0), (4, *shapes[score][1:]))
    assert identify(hollow).identity.fields == {"num_classes": 4}
    assert sum(f.identify(hollow) is not None for f in FAMILIES if not f.only_as) == 1


def test_a_file_without_the_auxiliary_head_gives_a_network_without():
    hollow = published.hollow(published.shapes("upernet_convnext_tiny"))
    bare = {name: array for name, array in hollow.items() if "auxiliary" not in name}
    assert identify(bare).identity.fields == {"num_classes": 21, "auxiliary": False}


def test_another_width_of_the_decoder_is_read_from_it():
    shapes = published.shapes("smp_unet_resnet34")
    shapes |= {"decoder.blocks.0.conv1.0.weight": (512, 768, 3, 3)}
    assert identify(published.hollow(shapes)).identity.fields["features"] == 512


def test_a_depth_that_is_not_known_is_not_taken_for_another():
    shapes = published.shapes("smp_unet_resnet34")
    shapes |= {"encoder.layer3.6.conv1.weight": (256, 256, 3, 3)}
    with pytest.raises(UserError, match=r"names of U-Net of segmentation_models.pytorch, but shap"):
        identify(published.hollow(shapes))


@pytest.mark.parametrize(
    ("file", "key"),
    [
        QUICK,
        *(
            pytest.param(file, key, marks=pytest.mark.slow)
            for file in NETWORKS
            for key in keys(file, "logits")
            if (file, key) != QUICK
        ),
    ],
)
def test_logits_are_those_of_the_published_code(file, key):
    """At 64 x 640 and 640 x 64 all taps of the dilated convolutions count."""
    model, variables = loaded(file)
    # Not under jit: layers of few shapes are faster run one by one than compiled.
    compare(model.apply(variables, images(key)), file, key)


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("segformer_b0", "65x97/scores"),
        *(
            pytest.param(file, key, marks=pytest.mark.slow)
            for file in ("segformer_b0", "segformer_b2")
            for key in keys(file, "scores")
            if (file, key) != ("segformer_b0", "65x97/scores")
        ),
    ],
)
def test_scores_of_segformer_before_they_are_resized_are_those_of_the_published_code(file, key):
    model, variables = loaded(file)
    logits, seen = model.apply(
        variables, images(key), capture_intermediates=lambda m, _: m.name == "score"
    )
    compare(seen["intermediates"]["score"]["__call__"][0], file, key)
    assert logits.shape == (*images(key).shape[:3], 21)


@pytest.mark.slow
def test_scores_of_upernet_before_they_are_resized_are_those_of_the_published_code():
    """Of an image so large that the bins of its pooling overlap."""
    file = "upernet_convnext_tiny"
    (key,) = keys(file, "head_every4")
    model, variables = loaded(file)
    _, seen = model.apply(
        variables, images(key), capture_intermediates=lambda m, _: m.name == "head"
    )
    compare(seen["intermediates"]["head"]["__call__"][0], file, key)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["64x96", "65x97"])
def test_auxiliary_scores_of_upernet_are_those_of_the_published_code(size):
    file, key = "upernet_convnext_tiny", f"{size}/auxiliary"
    model, variables = loaded(file, frozen_batch_norm=True, stochastic_depth=0.0)
    with without_dropout():
        _, seen = model.apply(
            variables,
            images(key),
            train=True,
            mutable=[AUXILIARY, "intermediates"],
            capture_intermediates=lambda m, _: m.name == "auxiliary_head",
        )
    compare(seen["intermediates"]["auxiliary_head"]["__call__"][0], file, key)
