"""Weights of ConvNeXt by the names of timm, torchvision, transformers and its authors."""

import jax
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.convnext import ConvNeXt
from gcn_jax.weights.convnext import import_convnext
from gcn_jax.weights.prefixes import without_prefix
from tests.helpers import published_networks as published
from tests.helpers.random_values import normal

#: File of names, shapes and values -> the variant.
FILES = {
    "timm_convnext_tiny": "tiny",
    "torchvision_convnext_tiny": "tiny",
    "timm_convnext_small": "small",
}
QUICK = ("timm_convnext_tiny", "65x97")


@pytest.mark.parametrize(
    ("file", "size"),
    [
        QUICK,
        *(
            pytest.param(file, size, marks=pytest.mark.slow)
            for file in FILES
            for size in ("64x96", "65x97")
            if (file, size) != QUICK
        ),
    ],
)
def test_features_and_scores_are_those_of_the_published_code(file, size):
    model = ConvNeXt(FILES[file], num_classes=1000)
    variables = import_convnext(published.tensors(published.shapes(file)), model)
    height, width = map(int, size.split("x"))
    # Not under jit: many blocks of few shapes are faster run one by one than compiled.
    outputs = model.apply(variables, normal(1, height, width, 3, seed=height))
    with np.load(published.FOLDER / f"{file}.npz") as arrays:
        expected = {key: arrays[key] for key in arrays if key.startswith(f"{size}/")}
    assert f"{size}/stage4" in expected
    for key, array in expected.items():
        name = key.partition("/")[2]
        found = outputs["logits" if name == "logits" else f"res{int(name[-1]) + 1}"]
        found = found[..., : array.shape[-1]]
        np.testing.assert_allclose(found, array, rtol=0, atol=2e-5, err_msg=key)


def small_timm():
    """Return tensors of the smallest ConvNeXt, with timm's names."""
    shapes = {"stem.0.weight": (4, 3, 4, 4), "stem.0.bias": (4,)}
    shapes |= {f"stem.1.{leaf}": (4,) for leaf in ("weight", "bias")}
    before = 4
    for stage, (blocks, width) in enumerate(((1, 4), (1, 8), (2, 12), (1, 16))):
        if stage:
            name = f"stages.{stage}.downsample"
            shapes |= {f"{name}.0.{leaf}": (before,) for leaf in ("weight", "bias")}
            shapes |= {f"{name}.1.weight": (width, before, 2, 2), f"{name}.1.bias": (width,)}
        for i in range(blocks):
            name = f"stages.{stage}.blocks.{i}"
            shapes |= {
                f"{name}.gamma": (width,),
                f"{name}.conv_dw.weight": (width, 1, 7, 7),
                f"{name}.conv_dw.bias": (width,),
                f"{name}.norm.weight": (width,),
                f"{name}.norm.bias": (width,),
                f"{name}.mlp.fc1.weight": (4 * width, width),
                f"{name}.mlp.fc1.bias": (4 * width,),
                f"{name}.mlp.fc2.weight": (width, 4 * width),
                f"{name}.mlp.fc2.bias": (width,),
            }
        before = width
    shapes |= {f"head.norm.{leaf}": (16,) for leaf in ("weight", "bias")}
    shapes |= {"head.fc.weight": (5, 16), "head.fc.bias": (5,)}
    return published.tensors(shapes)


def renamed(tensors, *pairs):
    """Return tensors with parts of their names exchanged, one after the other."""
    for old, new in pairs:
        tensors = {name.replace(old, new): array for name, array in tensors.items()}
    return tensors


AUTHORS = (
    *((f"stages.{i}.downsample.", f"downsample_layers.{i}.") for i in (1, 2, 3)),
    *(("stem.", "downsample_layers.0."), (".blocks.", "."), ("mlp.fc", "pwconv")),
    *(("conv_dw", "dwconv"), ("head.norm", "norm"), ("head.fc", "head")),
)
TRANSFORMERS = (
    *(("stages.", "encoder.stages."), (".blocks.", ".layers."), ("mlp.fc", "pwconv")),
    *((".downsample.", ".downsampling_layer."), ("conv_dw", "dwconv")),
    *(("gamma", "layer_scale_parameter"), (".norm.", ".layernorm.")),
    *(("head.layernorm", "layernorm"), ("head.fc", "classifier")),
    *(("stem.0", "embeddings.patch_embeddings"), ("stem.1", "embeddings.layernorm")),
)
TORCHVISION = (
    *((f"stages.{i}.downsample.", f"features.{2 * i}.") for i in (1, 2, 3)),
    *((f"stages.{i}.blocks.", f"features.{2 * i + 1}.") for i in range(4)),
    *((".conv_dw.", ".block.0."), (".norm.", ".block.2."), ("gamma", "layer_scale")),
    *((".mlp.fc1.", ".block.3."), (".mlp.fc2.", ".block.5."), ("stem.", "features.0.")),
    *(("head.block.2", "classifier.0"), ("head.fc", "classifier.2")),
)


@pytest.mark.parametrize("pairs", [AUTHORS, TRANSFORMERS, TORCHVISION])
@pytest.mark.parametrize("prefix", ["", "module.backbone."])
def test_all_names_of_a_tensor_fill_the_same_leaf(pairs, prefix):
    model, tensors = ConvNeXt("_tiny", num_classes=5), small_timm()
    expected = import_convnext(tensors, model)
    others = renamed(tensors, *pairs)
    assert not {*others} & {*tensors}
    others = {prefix + name: array for name, array in others.items()}
    if pairs is TORCHVISION:
        others = {k: a[:, None, None] if "scale" in k else a for k, a in others.items()}
    found = import_convnext(without_prefix(others), model)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_classifier_s_file_fills_a_backbone_but_for_the_norms_of_its_features():
    model, tensors = ConvNeXt("_tiny", norm_features=True), small_timm()
    params = import_convnext(tensors, model)["params"]
    assert not {"norm2", "norm5", "logits"} & {*params}
    kernel = params["res3_block1"]["expand"]["kernel"]
    np.testing.assert_array_equal(kernel[0, 0], tensors["stages.1.blocks.0.mlp.fc1.weight"].T)
    scale = params["res4_block2"]["layer_scale"]
    np.testing.assert_array_equal(scale, tensors["stages.2.blocks.1.gamma"])
    tensors |= {f"hidden_states_norms.stage{i}.weight": np.full(4 * i, 7.0) for i in range(1, 5)}
    tensors |= {f"hidden_states_norms.stage{i}.bias": np.full(4 * i, 8.0) for i in range(1, 5)}
    params = import_convnext(tensors, model)["params"]
    np.testing.assert_array_equal(params["norm4"]["scale"], np.full(12, 7.0))


def test_another_network_is_named_by_what_differs():
    tensors = small_timm() | {"stages.0.blocks.0.mlp.grn.weight": np.ones(16)}  # ConvNeXt V2
    del tensors["stages.0.blocks.0.gamma"]
    with pytest.raises(UserError, match=r"1 missing .*blocks\.0\.gamma; 1 .* use: .*mlp\.grn"):
        import_convnext(tensors, ConvNeXt("_tiny"))
