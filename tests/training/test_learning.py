"""Every network learns two images by heart, and knows them in inference."""

import jax
import numpy as np
import optax
import pytest

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.shapes import world as shapes
from gcn_jax.models import create_model, predict
from gcn_jax.training import default_config
from gcn_jax.training.optimizer import make_optimizer, make_schedule
from gcn_jax.training.state import create_state
from gcn_jax.training.step import make_train_step
from tests.helpers.networks import learners, tiny

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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "head"),
    [("segformer_plain4", 1.0), ("upernet_convnext_tiny", 1.0), ("linear_dinov2_small", 10.0)],
)
def test_adamw_learns_a_batch_with_a_transformer_or_convnext(name, head):
    """On the smallest of MiT, ConvNeXt and DINOv2, from scratch, by the recipes' kind of rates."""
    model = tiny(name, num_classes=len(shapes.CLASS_NAMES))
    settings = default_config().optimizer
    settings.update({"kind": "adamw", "learning_rate": 3e-3, "weight_decay": 0.01})
    settings.update({"warmup_steps": 5, "poly_power": 1.0, "layer_decay": 0.9, "clip_norm": 1.0})
    settings.head_multiplier = head  # of a single layer, little else moves the scores
    tx = make_optimizer(
        settings,
        make_schedule(settings, 60),
        frozen_batch_norm=False,
        distance_to_head=model.make_backbone().distance_to_head,
    )
    step = jax.jit(make_train_step(model, tx, mean=(128.0,) * 3, std=(64.0,) * 3, seed=0))
    samples = [shapes.render(0, i) for i in range(4)]
    batch = {key: np.stack([one[key][:64, :64] for one in samples]) for key in ("image", "label")}
    state, losses = create_state(model, tx, jax.random.key(0), ema=False), []
    for _ in range(60):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    # Who knows how often each class occurs, and nothing else, has the entropy of the labels.
    counts = np.bincount(batch["label"][batch["label"] != IGNORE_LABEL])
    shares = counts[counts > 0] / counts.sum()
    entropy = -np.sum(shares * np.log(shares))
    auxiliary = 1.4 if name.startswith("upernet") else 1
    assert losses[0] > auxiliary * entropy
    assert np.mean(losses[-5:]) < 0.75 * auxiliary * entropy
