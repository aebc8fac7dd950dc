"""Everything that a training run is, between two steps."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct


class TrainState(struct.PyTreeNode):
    """The state of a run: one pytree, donated to each step and saved in each checkpoint.

    Attributes:
        step: int32 `[]`, how many steps were made.
        params: The parameters of the network.
        batch_stats: The running statistics of its batch-norms.
        opt_state: The optimiser's state.
        ema: The moving averages `{"params", "batch_stats"}`, or None where the run keeps none.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState
    ema: dict[str, Any] | None = None

    @property
    def variables(self) -> dict[str, Any]:
        """What evaluation uses: the moving averages where there are some."""
        return self.ema or {"params": self.params, "batch_stats": self.batch_stats}

    def with_variables(self, variables: dict[str, Any]) -> "TrainState":
        """Return this state with other parameters and statistics, and averages that are these."""
        ema = None if self.ema is None else jax.tree.map(jnp.copy, variables)
        return self.replace(**variables, ema=ema)


def create_state(
    model: nn.Module, tx: optax.GradientTransformation, rng: jax.Array, *, ema: bool
) -> TrainState:
    """Initialise a network and its optimiser.

    Args:
        model: A network.
        tx: Its optimiser.
        rng: The key of the initial parameters.
        ema: Whether to keep moving averages of parameters and statistics.
    """
    variables = {"batch_stats": {}, **model.init(rng, jnp.zeros((1, 32, 32, model.in_channels)))}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        **variables,
        opt_state=tx.init(variables["params"]),
        ema=jax.tree.map(jnp.copy, variables) if ema else None,
    )
