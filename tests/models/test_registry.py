"""Models by name: what exists, how large it is, and what a wrong name is told."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from gcn_jax import models
from gcn_jax.errors import UserError

# Name -> parameters with 21 classes, of the network and of its backbone. The head of a GCN on
# ResNet-152 has 2,472,456 in global convolutions (k = 15), 9 x 7,980 in refinements, and 35,280 in
# deconvolutions: the sum of these and its trunk is 60,723,364. FCN's deconvolutions have none: with
# kernels that learn FCN-8s has the published 134,489,759 (`test_fcn.py`). Those of a PSPNet have an
# auxiliary classifier, of 2,365,205 on ResNet-50 and -101 (without: `test_pspnet.py`).
PARAMETERS = {
    "gcn_resnet18": (11_941_668, 11_176_512),
    "gcn_resnet34": (22_049_828, 21_284_672),
    "gcn_resnet50": (26_087_588, 23_508_032),
    "gcn_resnet101": (45_079_716, 42_500_160),
    "gcn_resnet152": (60_723_364, 58_143_808),
    "gcn_resnet50_caffe": (26_087_588, 23_508_032),
    "gcn_resnet101_caffe": (45_079_716, 42_500_160),
    "gcn_resnet152_caffe": (60_723_364, 58_143_808),
    "gcn_resnet50_gcn": (23_076_336, 20_496_780),
    "gcn_plain4": (440_544, 135_960),
    "fcn32s_vgg16": (134_346_581, 134_260_544),
    "fcn16s_vgg16": (134_357_354, 134_260_544),
    "fcn8s_vgg16": (134_362_751, 134_260_544),
    "segnet": (29_455_125, 14_723_136),
    "deeplab_largefov": (20_505_429, 20_483_904),
    "deeplab_v2_resnet18": (11_563_668, 11_176_512),
    "deeplab_v2_resnet101": (44_048_532, 42_500_160),
    "deeplab_v2_resnet101_caffe": (44_048_532, 42_500_160),
    "deeplab_v2_plain4": (208_620, 135_960),
    "pspnet_resnet18": (12_771_242, 11_176_512),
    "pspnet_resnet50": (49_081_578, 23_631_808),
    "pspnet_resnet101": (68_073_706, 42_623_936),
    "pspnet_plain4": (208_722, 135_960),
    "classifier": (23_508_032 + 2_049 * 21, 23_508_032),
    "_tiny": (110_468, 1_604),
}


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def abstract_params(model):
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)["params"]


@pytest.mark.parametrize("name", PARAMETERS)
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
