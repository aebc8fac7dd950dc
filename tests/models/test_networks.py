"""What holds for every network."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models.network import check_images, variable_shapes
from gcn_jax.models.registry import TINY_MODELS
from tests.helpers.networks import tiny
from tests.helpers.random_values import normal, random_variables

#: Half of the time to compile, and slow programs, which run once.
compiled_fast = partial(
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    },
)


every_network = pytest.mark.parametrize("name", TINY_MODELS)


@every_network
def test_logits_have_the_size_of_the_images(name):
    model = tiny(name)
    variables = variable_shapes(model)
    stride = model.label_stride
    for height, width in [(1, 1), (65, 98)]:
        images = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
        made, shown = jax.eval_shape(model.init_with_output, jax.random.key(0), images)[::-1]
        assert made == variables
        assert (shown.shape, shown.dtype) == ((2, height, width, 3), jnp.float32)

        def train(variables, images, model=model):
            rngs = {"dropout": jax.random.key(0)}
            return model.apply(variables, images, train=True, rngs=rngs, mutable=True)[0]

        logits = jax.eval_shape(train, variables, images)
        assert logits.shape == (2, -(-height // stride), -(-width // stride), 3)
        assert logits.dtype == jnp.float32


@every_network
def test_bfloat16_is_close_to_float32(name):
    variables, images = random_variables(tiny(name)), normal(1, 33, 47, 3)
    exact, rough = (
        compiled_fast(tiny(name, dtype=dtype).apply)(variables, images)
        for dtype in ("float32", "bfloat16")
    )
    assert rough.dtype == jnp.float32
    error = np.sqrt(np.mean(np.square(rough - exact)) / np.var(exact))
    assert 0 < error < 0.1


@every_network
def test_statistics_that_cannot_move_are_named(name):
    images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)

    def train(variables, images, model):
        rngs = {"dropout": jax.random.key(0)}
        return model.apply(variables, images, train=True, rngs=rngs)

    model = tiny(name)
    with pytest.raises(UserError, match=r'train=True, mutable=\["batch_stats"\]\)`'):
        jax.eval_shape(partial(train, model=model), variable_shapes(model), images)
    frozen = tiny(name, frozen_batch_norm=True)
    jax.eval_shape(partial(train, model=frozen), variable_shapes(frozen), images)


@pytest.mark.parametrize(
    ("shape", "dtype", "remedy"),
    [
        ((1, 16, 24, 3), "uint8", r"models.preprocessing.normalize\(images, mean, std\)` makes"),
        ((2, 3, 16, 24), "float32", r"last: `images.transpose\(0, 2, 3, 1\)`"),
        ((3, 16, 24), "float32", r"last: `images.transpose\(1, 2, 0\)\[None\]`"),
        ((16, 24, 3), "float32", r"is a batch of one: `images\[None\]`"),
        ((2, 16, 24, 1), "float32", r"grey .*: `images.repeat\(3, axis=-1\)`"),
        ((2, 16, 24, 4), "float32", r"no alpha channel: `images\[\.\.\., :3\]`"),
        ((16, 24), "float32", "four axes"),
    ],
)
def test_images_that_are_no_batch_of_floats_are_refused_with_a_remedy(shape, dtype, remedy):
    images = np.zeros(shape, dtype)
    with pytest.raises(UserError, match=rf"normalised floats \[N, H, W, 3\].*{remedy}"):
        check_images(images)
    with pytest.raises(UserError, match="must be normalised floats"):
        jax.eval_shape(tiny("segnet").init, jax.random.key(0), images)


def test_computing_again_keeps_less_of_the_stages_of_vgg():
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)

    def kept(remat):
        """Return how many values wait for the backward pass; nothing is computed."""
        model = tiny("segnet", remat=remat).make_backbone()

        def pull(params, statistics, images):
            variables = {"params": params, "batch_stats": statistics}
            return jax.vjp(lambda x: model.apply(variables, x)[0], images)[1]

        variables = variable_shapes(model)
        kept = jax.eval_shape(pull, variables["params"], variables["batch_stats"], images)
        return sum(leaf.size for leaf in jax.tree.leaves(kept))

    assert kept(True) < 0.6 * kept(False)
