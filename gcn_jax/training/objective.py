"""The objective of a run: a weighted sum of losses, made from `config.loss`."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gcn_jax import data
from gcn_jax.data.statistics import CLASS_WEIGHTS, class_weights
from gcn_jax.errors import UserError, check_choice
from gcn_jax.training import losses


class Term(NamedTuple):
    """One loss of the sum: `weight * total(logits=, labels=) / count(labels)`.

    Attributes:
        weight: The factor of the loss in the sum.
        total: A sum over pixels or over images.
        count: Over how many; it knows the labels alone.
    """

    weight: float
    total: Callable[..., jax.Array]
    count: Callable[[jax.Array], jax.Array]  # type: ignore[assignment]  # tuple has a count, too


class Objective(NamedTuple):
    """A sum of losses, each a mean over the pixels or the images of the whole batch.

    A loss that nothing counts for (all is void, or of classes with weight 0) is 0.

    Attributes:
        terms: The losses.
    """

    terms: tuple[Term, ...]

    def counts(self, labels: jax.Array) -> tuple[jax.Array, ...]:
        """Return what each loss is divided by, for the labels `[..., H, W]` of the whole batch."""
        return tuple(term.count(labels) for term in self.terms)

    def __call__(
        self, *, logits: jax.Array, labels: jax.Array, counts: tuple[jax.Array, ...]
    ) -> jax.Array:
        """Return what a batch, or a part of one, adds to the objective: float32 `[]`.

        Args:
            logits: float `[N, H, W, C]`.
            labels: int or uint8 `[N, H, W]`; 255 is void.
            counts: Those of the whole batch.
        """
        total = jnp.zeros(())
        for term, count in zip(self.terms, counts, strict=True):
            mean = term.total(logits=logits, labels=labels) / jnp.where(count > 0, count, 1)
            total += term.weight * jnp.where(count > 0, mean, 0)
        return total


#: The mean cross-entropy of a labelled pixel.
MEAN_CROSS_ENTROPY = Objective((Term(1.0, losses.cross_entropy_sum, losses.weighted_pixels),))


def make_objective(settings: ConfigDict, source: "data.Source | data.Mixture") -> Objective:
    """Make the objective of a run.

    Args:
        settings: `config.loss`.
        source: What is trained on; class weights that are named follow from its labels.

    Raises:
        UserError: A setting is out of its range, or no loss has a weight.
    """
    _check(settings)
    weights = None
    if settings.class_weights is not None:
        weights = _class_weights(settings.class_weights, source)
    pixels = partial(losses.weighted_pixels, class_weights=weights)
    images = losses.labelled_images
    cross_entropy = partial(
        losses.cross_entropy_sum, class_weights=weights, label_smoothing=settings.label_smoothing
    )
    focal = partial(losses.focal_sum, class_weights=weights, gamma=settings.focal_gamma)
    ohem = partial(
        losses.ohem_sum,
        class_weights=weights,
        threshold=settings.ohem_threshold,
        min_kept=settings.ohem_min_kept,
    )
    every = (
        Term(settings.cross_entropy, cross_entropy, pixels),
        Term(settings.focal, focal, pixels),
        Term(settings.ohem, ohem, images),
        Term(settings.dice, losses.dice_sum, images),
        Term(settings.lovasz_softmax, losses.lovasz_softmax_sum, images),
    )
    return Objective(tuple(term for term in every if term.weight))


def _check(settings: ConfigDict) -> None:
    names = ("cross_entropy", "focal", "ohem", "dice", "lovasz_softmax")
    for name in names:
        if not 0 <= settings[name] < math.inf:
            raise UserError(
                f"loss.{name} is {settings[name]}; it is the weight of a loss, 0 or more"
            )
    if not any(settings[name] for name in names):
        raise UserError(f"no loss has a weight; set one of {', '.join('loss.' + n for n in names)}")
    for name in ("label_smoothing", "ohem_threshold", "ohem_min_kept"):
        if not 0 <= settings[name] <= 1:
            raise UserError(f"loss.{name} is {settings[name]}; it lies in [0, 1]")
    if not 0 <= settings.focal_gamma < math.inf:
        raise UserError(f"loss.focal_gamma is {settings.focal_gamma}; it is 0 or more")


def _class_weights(text: str, source: "data.Source | data.Mixture") -> np.ndarray:
    """Return float32 `[C]`, from the name of a method or from numbers such as `"1,2.5,0.5"`."""
    try:
        weights = np.array([float(part) for part in text.split(",")], np.float32)
    except ValueError:
        check_choice("loss.class_weights", text, CLASS_WEIGHTS)
        return class_weights(text, source.label_statistics)
    if len(weights) != len(source.class_names) or not _are_weights(weights):
        raise UserError(
            f"loss.class_weights is {text!r}; it is a method ({', '.join(CLASS_WEIGHTS)}) or "
            f"{len(source.class_names)} numbers, 0 or more, one for each class of {source.name}"
        )
    return weights


def _are_weights(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and (values >= 0).all() and values.any())
