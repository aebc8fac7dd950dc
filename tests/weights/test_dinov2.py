"""DINOv2's weights by the names of its authors and of timm."""

import jax
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.dinov2 import GRID, DINOv2
from gcn_jax.weights.dinov2 import import_dinov2
from gcn_jax.weights.prefixes import without_prefix
from tests.helpers.random_values import normal, random_variables


@pytest.fixture(scope="module")
def model():
    return DINOv2("_tiny")  # width 8, 4 blocks, a register


@pytest.fixture(scope="module")
def params(model):
    return jax.tree.map(np.asarray, random_variables(model)["params"])


def authors_tensors(params):
    """Write parameters down as `dinov2_vits14_reg4_pretrain.pth` has them."""

    def linear(kernel):
        return kernel[0, 0].T

    def norm(name, layer):
        return {f"{name}.weight": layer["scale"], f"{name}.bias": layer["bias"]}

    tensors = {
        "cls_token": params["cls"][None],
        "pos_embed": params["positions"][None],
        "register_tokens": params["registers"][None],
        "mask_token": np.zeros((1, 8), "float32"),
        "patch_embed.proj.weight": params["patches"]["kernel"].transpose(3, 2, 0, 1),
        "patch_embed.proj.bias": params["patches"]["bias"],
        **norm("norm", params["norm"]),
    }
    for i in range(4):
        block, name = params[f"block{i + 1}"], f"blocks.{i}"
        joined = [block[layer] for layer in ("query", "key", "value")]
        tensors |= {
            **norm(f"{name}.norm1", block["norm1"]),
            f"{name}.attn.qkv.weight": np.concatenate([linear(x["kernel"]) for x in joined]),
            f"{name}.attn.qkv.bias": np.concatenate([x["bias"] for x in joined]),
            f"{name}.ls1.gamma": block["layer_scale1"],
            **norm(f"{name}.norm2", block["norm2"]),
            f"{name}.ls2.gamma": block["layer_scale2"],
        }
        for theirs, ours in {"attn.proj": "out", "mlp.fc1": "expand", "mlp.fc2": "project"}.items():
            tensors[f"{name}.{theirs}.weight"] = linear(block[ours]["kernel"])
            tensors[f"{name}.{theirs}.bias"] = block[ours]["bias"]
    return tensors


def test_tensors_of_the_authors_fill_the_backbone(model, params):
    loaded = import_dinov2(authors_tensors(params), model)["params"]
    jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_what_wraps_them_is_stripped(model, params):
    wrapped = {f"module.backbone.{k}": v for k, v in authors_tensors(params).items()}
    wrapped["module.head.weight"] = np.zeros((3, 8), "float32")
    loaded = import_dinov2(without_prefix(wrapped), model)["params"]
    jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_timm_has_added_the_position_of_the_class_token(model, params):
    tensors = authors_tensors(params)
    del tensors["mask_token"]
    tensors["reg_token"] = tensors.pop("register_tokens")
    positions = tensors.pop("pos_embed")
    tensors |= {
        "cls_token": tensors["cls_token"] + positions[:, :1],
        "pos_embed": positions[:, 1:],
    }
    assert tensors["pos_embed"].shape == (1, GRID**2, 8)
    loaded = import_dinov2(tensors, model)
    images, apply = normal(1, 28, 42, 3), jax.jit(model.apply)
    found, expected = apply(loaded, images), apply({"params": params}, images)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, expected)


def test_a_gated_perceptron_is_of_another_model(model, params):
    """DINOv2's ViT-g has one; its tensors are named."""
    tensors = authors_tensors(params)
    tensors["blocks.0.mlp.w12.weight"] = tensors.pop("blocks.0.mlp.fc1.weight")
    with pytest.raises(UserError, match=r"without a use: encoder\.layer\.0\.mlp\.w12\.weight"):
        import_dinov2(tensors, model)
