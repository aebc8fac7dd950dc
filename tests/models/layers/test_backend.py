"""For which device a primitive is formulated, and that other devices never meet the CPU's words."""

import inspect
import re
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, AxisType, NamedSharding, PartitionSpec

import gcn_jax
from gcn_jax.models import create_model, layers
from gcn_jax.models.layers import (
    backend,
    by_rows,
    cpu,
    formulation_for,
    plain,
    plain_formulation,
    pooling,
    tpu,
)
from gcn_jax.models.network import variable_shapes
from tests.helpers.random_values import normal

GPU = AbstractDevice(device_kind="NVIDIA H100", num_cores=132, platform="gpu")


def gpu_mesh(kind):
    return AbstractMesh((2,), ("data",), axis_types=(kind,), abstract_device=GPU)


def test_all_formulations_have_the_same_functions():
    assert len(cpu.__all__) == 5
    assert sorted(by_rows.__all__) == sorted(tpu.__all__) == sorted(cpu.__all__)
    for name in cpu.__all__:
        simple, *others = (
            inspect.signature(getattr(module, name)).parameters.keys()
            for module in (plain, cpu, tpu, by_rows)
        )
        assert all(other == simple for other in others)


def test_the_words_of_a_cpu_have_the_values_of_the_plain_ones():
    x, kernel = normal(1, 6, 6, 5), normal(3, 3, 5, 5)

    def primitives():
        convolved = [
            layers.convolve(x, kernel, 1, (1, 1), 1),
            layers.convolve(x, kernel[:1, :1], 2, (0, 0), 1),
        ]
        deconvolved = layers.deconvolve(x, normal(4, 4, 5, 5), crop=1)
        return [*convolved, deconvolved, pooling.max_pool(x), layers.relu(x)]

    fast = primitives()
    with plain_formulation():
        expected = primitives()
    for a, b in zip(fast, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("size", "strides", "padding", "dilation"),
    [
        ((7, 1), 1, (3, 0), 1),
        ((1, 7), 1, (0, 3), 1),
        ((1, 3), 1, (0, 4), 2),
        ((3, 1), 1, (0, 0), 2),
        ((5, 1), 1, (2, 1), 1),
        ((1, 5), 1, (1, 0), 1),
        ((1, 5), 2, (0, 2), 1),
        ((1, 1), 1, (1, 1), 1),
        ((3, 3), 1, (1, 1), 1),
    ],
)
def test_the_words_of_a_tpu_have_the_values_and_gradients_of_the_plain_ones(
    size, strides, padding, dilation, groups
):
    x, kernel = normal(2, 7, 6, 4), normal(*size, 4 // groups, 6)

    def weighted(x, kernel):
        y = layers.convolve(x, kernel, strides, padding, dilation)
        return jnp.sum(y * normal(*y.shape)), y

    def found():
        return jax.grad(weighted, argnums=(0, 1), has_aux=True)(x, kernel)

    with plain_formulation():
        expected = found()
    with formulation_for("tpu"):
        in_lines = found()
    for a, b in zip(jax.tree.leaves(in_lines), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_on_a_tpu_a_kernel_of_one_row_or_column_slides_along_one_axis():
    x = jax.ShapeDtypeStruct((2, 8, 12, 4), jnp.float32)
    with formulation_for("tpu"):
        for size, batch, length in (((5, 1), 24, 8), ((1, 5), 16, 12)):
            padding = (size[0] // 2, size[1] // 2)
            kernel = jax.ShapeDtypeStruct((*size, 4, 3), jnp.float32)
            traced = jax.jit(layers.convolve, static_argnums=(2, 3, 4)).trace(
                x, kernel, 1, padding, 1
            )
            assert f"f32[{batch},{length},3] = conv_general_dilated" in str(traced.jaxpr)
            assert traced.out_info.shape == (2, 8, 12, 3)


def test_the_formulation_is_that_of_the_device_that_a_program_is_for(monkeypatch):
    x = jnp.ones((2, 4, 4, 3))
    assert backend.formulation(x) is cpu
    with plain_formulation():
        assert backend.formulation(x) is plain
    with formulation_for("tpu"):
        assert backend.formulation(x) is tpu
    assert backend.formulation(x) is cpu

    with monkeypatch.context() as patch:
        patch.setattr(jax, "default_backend", lambda: "gpu")
        assert backend.formulation(x) is plain
        for device in ("cpu", jax.devices("cpu")[1]):
            with jax.default_device(device):
                assert backend.formulation(x) is cpu


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_a_mesh_says_which_device_a_program_is_for(kind):
    x = jnp.ones((2, 4, 4, 3))
    with jax.sharding.use_abstract_mesh(gpu_mesh(kind)):
        assert backend.formulation(x) is plain

    def chosen(x):
        words.append(backend.formulation(jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])))
        return x

    words: list = []
    split = NamedSharding(gpu_mesh(kind), PartitionSpec("data"))
    jax.eval_shape(chosen, jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=split))
    assert words == [plain]


def test_a_compiled_function_is_traced_again_in_plain_words():
    x, kernel = normal(1, 6, 6, 5), normal(3, 3, 5, 5)

    @jax.jit
    def convolve(x, kernel):
        return layers.convolve(x, kernel, 1, (1, 1), 1)

    def pads():
        return str(convolve.trace(x, kernel).jaxpr).count("pad[")

    assert pads() > 0
    with plain_formulation():
        assert pads() == 0
    assert pads() > 0


def test_an_export_for_another_device_holds_nothing_of_the_cpu():
    """Padded channels, phases and taps of the CPU's words are pads, slices and products."""
    model = create_model("gcn_plain4", num_classes=21, kernel_size=7)
    variables, images = variable_shapes(model), jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)

    def operations():
        program = jax.export.export(jax.jit(model.apply), platforms=["cuda"])(variables, images)
        return Counter(re.findall(r"stablehlo\.(\w+)", program.mlir_module()))

    with plain_formulation():
        found = operations()
    assert found["convolution"] > 30
    assert not any(found[name] for name in ("pad", "slice", "dot_general", "concatenate"))
    assert operations()["pad"] > 100


def test_forward_mode_needs_plain_words():
    x, kernel = normal(1, 6, 6, 5), normal(3, 3, 5, 5)

    def derivative():
        return jax.jvp(lambda x: layers.convolve(x, kernel, 1, (1, 1), 1), (x,), (x,))

    with pytest.raises(TypeError, match="forward-mode"):
        derivative()
    with plain_formulation():
        y, change = derivative()
    np.testing.assert_allclose(y, change, atol=1e-5)  # it is linear


def test_nothing_outside_layers_knows_the_formulations():
    package = Path(gcn_jax.__file__).parent
    words = re.compile(r"layers(\.| import .*\b)(cpu|plain)\b")
    for path in package.rglob("*.py"):
        if package / "models" / "layers" not in path.parents:
            assert not words.search(path.read_text(encoding="utf-8")), path
