"""Models by name: what exists, how large it is, and what a wrong name is told."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from gcn_jax import models
from gcn_jax.errors import UserError
from gcn_jax.models.registry import MODELS, NETWORKS
from tests.helpers.networks import published_counts

PARAMETERS = published_counts()


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def abstract_params(model):
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)["params"]


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_counted(name):
    params = abstract_params(models.create_model(name, num_classes=21))
    assert (count(params), count(params["backbone"])) == PARAMETERS[name]


def test_parts_of_the_paper_s_network_are_counted():
    params = abstract_params(models.create_model("gcn_resnet152", num_classes=21))
    sums = {"gcn": 0, "refine": 0, "deconv": 0}
    for name, subtree in params.items():
        for part in sums:
            sums[part] += count(subtree) if name.startswith(part) else 0
    assert sums == {"gcn": 2_472_456, "refine": 9 * 7_980, "deconv": 35_280}


def test_private_names_are_not_listed():
    assert models.list_models() == [name for name in PARAMETERS if name != "_tiny"]


def test_no_name_stands_for_two_networks():
    assert len(MODELS) == sum(len(file.VARIANTS) for _, file in NETWORKS)


def test_a_name_builds_what_the_class_builds():
    model = models.create_model("gcn_resnet50", num_classes=21, kernel_size=7, dtype="bfloat16")
    assert model == models.GCN(21, "resnet50", kernel_size=7, dtype=jnp.bfloat16)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("gcn_resnet5O", {}, "unknown model 'gcn_resnet5O' (did you mean gcn_resnet50 or"),
        ("swin", {}, "unknown model 'swin'; choose one of: gcn_resnet18, gcn_resnet34, "),
        ("_tiny", {"classes": 3}, "unknown field of _tiny 'classes' (did you mean num_classes"),
        ("_tiny", {"num_classes": 3, "parent": None}, "unknown field of _tiny 'parent'"),
        ("_tiny", {}, "_tiny needs a value for: num_classes"),
        ("_tiny", {"num_classes": 3, "dtype": "int8"}, "unknown dtype 'int8'; choose one of: "),
    ],
)
def test_a_mistake_is_named_with_what_is_valid(name, overrides, message):
    with pytest.raises(UserError) as error:
        models.create_model(name, **overrides)
    assert message in str(error.value)


def test_importing_models_brings_no_data_checkpoint_or_plotting_library():
    script = """
import sys
import flax.linen  # brings rich by itself
before = set(sys.modules)
import gcn_jax.models
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    heavy = {"orbax", "tensorstore", "tensorflow", "tensorflow_datasets", "grain", "array_record"}
    heavy |= {
        "safetensors",
        "huggingface_hub",
        "matplotlib",
        "PIL",
        "rich",
        "jinja2",
        "tensorboardX",
    }
    assert "gcn_jax" in done.stdout.split()
    assert not heavy & set(done.stdout.split())


def test_fields_of_a_model_are_those_its_name_leaves_open():
    fields = models.registry.model_fields("gcn_resnet18")
    assert fields["kernel_size"] == (int, 15)
    assert fields["stack_channels"] == (int, None)
    assert fields["dtype"] == (str, "float32")
    assert "backbone" not in fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_classes", 3.0),
        ("num_classes", True),
        ("num_classes", None),
        ("kernel_size", "7"),
        ("backbone", []),
        ("boundary_refinement", 1),
        ("dtype", 3),
        ("dtype", []),
    ],
)
def test_a_field_of_another_kind_is_named(field, value):
    with pytest.raises(UserError, match=f"gcn_resnet50: {field} is .*, which is no "):
        models.create_model("gcn_resnet50", **{"num_classes": 3, field: value})
