"""Memory of a training step: accumulated in parts, and with blocks computed again (remat).

    python -m benchmarks.memory [--depth 152] [--size 640] [--batch 16] [--compile]

"Kept" is what the forward pass leaves for the backward pass, which no compiler can do without; it
follows from the program alone, and nothing is computed. "Compiled" is what XLA sets aside for the
whole step on this device (`memory_analysis`), beside the state.
"""

import jax
import jax.numpy as jnp
import optax
from absl import flags

from benchmarks.contestants import NUM_CLASSES
from gcn_jax import models
from gcn_jax.cli import process
from gcn_jax.models.layers import plain_formulation
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.training.state import create_state
from gcn_jax.training.step import make_train_step

_DEPTH = flags.DEFINE_integer("depth", 152, "Of the ResNet.")
_SIZE = flags.DEFINE_integer("size", 640, "Pixels of a side.")
_BATCH = flags.DEFINE_integer("batch", 16, "Images in a step.")
_PARTS = flags.DEFINE_list("accumulate", ["1", "4", "16"], "In how many parts they are computed.")
_COMPILE = flags.DEFINE_bool("compile", False, "Compile the steps too, which takes minutes.")


def main(argv):
    """Print a table in Markdown."""
    del argv
    print("| accumulate | remat | kept GiB | compiled GiB |\n|---:|---|---:|---:|")
    for parts in map(int, _PARTS.value):
        for remat in (False, True):
            model = models.create_model(
                f"gcn_resnet{_DEPTH.value}", num_classes=NUM_CLASSES, remat=remat
            )
            kept = f"{_kept(model, _BATCH.value // parts) / 2**30:.2f}"
            compiled = f"{_compiled(model, parts) / 2**30:.2f}" if _COMPILE.value else ""
            print(f"| {parts} | {'on' if remat else 'off'} | {kept} | {compiled} |", flush=True)


def _kept(model: models.GCN, batch: int) -> int:
    """Return the bytes that wait for the backward pass, without the parameters themselves."""
    images = jax.ShapeDtypeStruct((batch, _SIZE.value, _SIZE.value, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)

    def logits(variables, images):
        with plain_formulation():  # else a copy in another shape counts as one more array
            return model.apply(variables, images, train=True, mutable=["batch_stats"])[0]

    # What `vjp` returns is a pytree of what it keeps.
    pull = jax.eval_shape(lambda *args: jax.vjp(logits, *args)[1], variables, images)
    return _bytes(pull) - _bytes(variables)


def _compiled(model: models.GCN, parts: int) -> int:
    """Return the bytes that XLA sets aside for a step."""
    tx = optax.sgd(0.01, momentum=0.9)
    state = jax.eval_shape(lambda key: create_state(model, tx, key, ema=False), jax.random.key(0))
    step = make_train_step(
        model, tx, mean=IMAGENET_MEAN, std=IMAGENET_STD, seed=0, accumulate=parts
    )
    lead = (parts, _BATCH.value // parts) if parts > 1 else (_BATCH.value,)
    labels = jax.ShapeDtypeStruct((*lead, _SIZE.value, _SIZE.value), jnp.uint8)
    images = jax.ShapeDtypeStruct((*labels.shape, 3), jnp.uint8)
    lowered = jax.jit(step, donate_argnums=0).lower(state, {"image": images, "label": labels})
    return lowered.compile().memory_analysis().temp_size_in_bytes


def _bytes(tree) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


if __name__ == "__main__":
    process.run_script(main)
