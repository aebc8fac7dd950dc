"""Every network learns two images by heart, and knows them in inference."""

import jax
import numpy as np
import optax
import pytest

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.shapes import world as shapes
from gcn_jax.models import create_model, predict
from gcn_jax.training.state import create_state
from gcn_jax.training.step import make_train_step
from tests.helpers.networks import learners

LEARNERS = learners()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LEARNERS if name != "classifier"])
def test_two_images_are_learnt(name):
    model = create_model(name, num_classes=len(shapes.CLASS_NAMES), **LEARNERS[name])
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1, momentum=0.9))
    preprocessing = {"mean": np.full(3, 128.0, "float32"), "std": np.full(3, 64.0, "float32")}
    step = jax.jit(make_train_step(model, tx, **preprocessing, seed=0), donate_argnums=0)
    samples = [shapes.render(0, i) for i in range(2)]
    batch = {key: np.stack([sample[key] for sample in samples]) for key in ("image", "label")}
    state = create_state(model, tx, jax.random.key(0), ema=False)
    for _ in range(200):
        state, _ = step(state, batch)
    variables = state.variables | {"preprocessing": preprocessing}
    labels = np.stack([predict(model, variables, image) for image in batch["image"]])
    labelled = batch["label"] != IGNORE_LABEL
    background = np.mean(batch["label"][labelled] == 0)
    accuracy = np.mean((labels == batch["label"])[labelled])
    assert accuracy > background + (1 - background) / 3  # FCN-32s has coarse outlines
