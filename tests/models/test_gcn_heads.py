"""What scores the classes at a level: values by hand, and the paper's counts of parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models.gcn_heads import HEADS, GlobalConv, StackedConv
from tests.helpers.random_values import normal, random_params


def correlate(x, kernel):
    """Correlate [H, W, C] with [kh, kw, C, C'] in float64, zeros beyond the border."""
    kh, kw = kernel.shape[:2]
    padded = np.pad(x.astype(np.float64), [(kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(0, 1))
    return np.einsum("hwcij,ijcd->hwd", windows, kernel)


def test_global_conv_is_a_dense_convolution_of_low_rank():
    x = normal(1, 9, 8, 3)
    module = GlobalConv(2, kernel_size=5, use_bias=False)
    params = random_params(module, x)
    k = {name: np.asarray(layer["kernel"], np.float64) for name, layer in params.items()}
    assert {name: kernel.shape for name, kernel in k.items()} == {
        "left_k1": (5, 1, 3, 2),
        "left_1k": (1, 5, 2, 2),
        "right_1k": (1, 5, 3, 2),
        "right_k1": (5, 1, 2, 2),
    }
    # Zeros beyond the border are of the input and of what lies between, which a k x k kernel
    # sees in the same way: the second convolution only moves along the other axis.
    dense = np.einsum("icm,jmd->ijcd", k["left_k1"][:, 0], k["left_1k"][0])
    dense += np.einsum("jcm,imd->ijcd", k["right_1k"][0], k["right_k1"][:, 0])
    y = module.apply({"params": params}, x)
    np.testing.assert_allclose(y[0], correlate(x[0], dense), atol=1e-4)


def test_global_conv_adds_its_biases_with_no_non_linearity():
    x = normal(1, 5, 5, 3)
    module = GlobalConv(2, kernel_size=3)
    params = random_params(module, x)

    def conv(name, values):
        return correlate(values, params[name]["kernel"]) + params[name]["bias"][None, None]

    expected = conv("left_1k", conv("left_k1", x[0])) + conv("right_k1", conv("right_1k", x[0]))
    np.testing.assert_allclose(module.apply({"params": params}, x)[0], expected, atol=1e-4)


def test_a_stack_is_its_convolutions_one_after_the_other():
    x = normal(1, 6, 7, 3)
    module = StackedConv(2, kernel_size=5, middle_features=4)
    params = random_params(module, x)
    assert params["conv1"]["kernel"].shape == (3, 3, 3, 4)
    middle = correlate(x[0], params["conv1"]["kernel"]) + params["conv1"]["bias"][None, None]
    expected = correlate(middle, params["conv2"]["kernel"]) + params["conv2"]["bias"][None, None]
    np.testing.assert_allclose(module.apply({"params": params}, x)[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "reach"), [("baseline", 0), ("conv", 3), ("gcn", 3), ("stack", 3)]
)
def test_a_head_sees_k_by_k_features(name, reach):
    x = np.zeros((1, 13, 13, 2), "float32")
    x[0, 6, 6] = 1
    module = HEADS[name](3, kernel_size=7, use_bias=False)
    y = module.apply({"params": random_params(module, x)}, x)
    seen = np.zeros((13, 13), bool)
    seen[6 - reach : 7 + reach, 6 - reach : 7 + reach] = True
    np.testing.assert_array_equal(np.abs(y[0]).max(axis=-1) > 0, seen)


# The paper's Tables 1, 2 and 4: after res-5 of ResNet-152, 2048 channels to 21 classes, no biases.
@pytest.mark.parametrize(
    ("name", "fields", "count"),
    [
        ("baseline", {"kernel_size": 15}, 43_008),
        ("gcn", {"kernel_size": 3}, 260_694),
        ("gcn", {"kernel_size": 5}, 434_490),
        ("gcn", {"kernel_size": 7}, 608_286),
        ("gcn", {"kernel_size": 9}, 782_082),
        ("conv", {"kernel_size": 3}, 387_072),
        ("conv", {"kernel_size": 5}, 1_075_200),
        ("conv", {"kernel_size": 7}, 2_107_392),
        ("conv", {"kernel_size": 9}, 3_483_648),
        ("stack", {"kernel_size": 7}, 75_884_544),
        ("stack", {"kernel_size": 7, "middle_features": 1024}, 28_505_088),
        ("stack", {"kernel_size": 7, "middle_features": 210}, 4_307_310),
    ],
)
def test_heads_have_the_parameters_of_the_paper(name, fields, count):
    module = HEADS[name](21, use_bias=False, **fields)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 16, 16, 2048)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


@pytest.mark.parametrize("name", ["conv", "gcn", "stack"])
def test_an_even_kernel_is_refused(name):
    with pytest.raises(UserError, match="kernel_size is 4, but must be odd"):
        HEADS[name](3, kernel_size=4)


def test_a_stack_of_nothing_is_refused():
    with pytest.raises(UserError, match="no kernel_size 1; take 3 or more"):
        jax.eval_shape(
            StackedConv(3, kernel_size=1).init, jax.random.key(0), jnp.zeros((1, 4, 4, 2))
        )
