"""The networks of the registry: small ones, and those that learn."""

import contextlib
import dataclasses
from collections.abc import Iterator
from importlib import import_module

from flax import linen as nn

from gcn_jax.models import create_model
from gcn_jax.models.registry import MODELS, NETWORKS, TINY_MODELS


def tiny(name, **fields):
    """Build the small network of a name in `TINY_MODELS`, with three classes."""
    return create_model(name, **{"num_classes": 3, **TINY_MODELS[name], **fields})


def published_counts():
    """Return name -> parameters of the network and its backbone, from each network's own test."""
    stems = [file.__name__.rpartition(".")[2] for _, file in NETWORKS]
    tests = [import_module(f"tests.models.test_{stem}") for stem in stems]
    return {name: counts for test in tests for name, counts in test.PARAMETERS.items()}


def learners():
    """Return name -> fields of all networks that differ in more than sizes and their backbone.

    They are wide enough to learn from scratch in a few steps.
    """
    small = dict(zip((network for network, _ in NETWORKS), TINY_MODELS.values(), strict=True))
    wide = {"backbone": "plain4", "width": 1 / 8, "frozen_backbone": False, "head_width": 64}
    found, kinds = {}, []
    for name, (network, fixed) in MODELS.items():
        kind = network, {field: value for field, value in fixed.items() if field not in wide}
        if name.startswith("_") or kind in kinds:
            continue
        kinds.append(kind)
        has = {field.name for field in dataclasses.fields(network)}
        widened = {field: value for field, value in wide.items() if field in has}
        found[name] = {**small[network], **widened}
    return found


@contextlib.contextmanager
def without_dropout() -> Iterator[list[float]]:
    """Let dropout change nothing in this block; yield the list of the rates that it would have."""
    rates: list[float] = []

    def pass_through(call, args, kwargs, context):
        if not isinstance(context.module, nn.Dropout):
            return call(*args, **kwargs)
        rates.append(context.module.rate)
        return args[0]

    with nn.intercept_methods(pass_through):
        yield rates
