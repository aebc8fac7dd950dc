"""Training: loss, optimiser, state, step, loop, checkpoints, logs."""

from gcn_jax.training.config import default_config
from gcn_jax.training.loop import train_and_evaluate
from gcn_jax.training.state import TrainState

__all__ = ["TrainState", "default_config", "train_and_evaluate"]
