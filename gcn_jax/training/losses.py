"""Losses of a batch; void pixels count nowhere.

Every loss here is a sum over pixels or over images, to be divided by a count that depends on the
labels alone. So the parts of a batch, and what each device has of it, add up to the whole, and a
batch without a single label has the loss 0 and the gradient 0. All compute in float32.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.models.layers import keeps_blocks, pixels_last, size_of

Array = jax.Array | np.ndarray

#: The side of the blocks of pixels whose loss is computed together where blocks are kept.
_BLOCK = 4

#: The smallest 1 - p that focal loss raises to its power: below 1 the slope there is infinite.
_MIN_ERROR = 1e-6


def valid_pixels(labels: jax.Array) -> jax.Array:
    """Count the pixels that are not void: int32 `[]`."""
    return jnp.sum(labels != IGNORE_LABEL, dtype=jnp.int32)


def weighted_pixels(labels: jax.Array, class_weights: Array | None = None) -> jax.Array:
    """Sum the class weights of the pixels that are not void: what pixel losses are divided by.

    Args:
        labels: int or uint8 `[N, H, W]`: a class 0..C-1, or 255 for void.
        class_weights: float `[C]`, or None for ones.

    Returns:
        float32 `[]`, or int32 `[]` without class weights.
    """
    if class_weights is None:
        return valid_pixels(labels)
    return jnp.sum(_at_labels(class_weights, labels), where=labels != IGNORE_LABEL)


def labelled_images(labels: jax.Array) -> jax.Array:
    """Count the images that are not all void, int32 `[]`: what image losses are divided by."""
    return jnp.sum(jnp.any(labels != IGNORE_LABEL, axis=(-2, -1)), dtype=jnp.int32)


def cross_entropy_sum(
    *,
    logits: jax.Array,
    labels: jax.Array,
    class_weights: Array | None = None,
    label_smoothing: float = 0.0,
) -> jax.Array:
    """Sum the cross-entropy over pixels, in nats: float32 `[]`.

    With class weights and smoothing (Szegedy et al. 2016, sec. 7: a share of the target is spread
    over all classes) it is PyTorch's `CrossEntropyLoss`, once divided by `weighted_pixels`.

    Args:
        logits: float `[N, H, W, C]`; computed with in float32.
        labels: int or uint8 `[N, H, W]`: a class 0..C-1, or 255 for void.
        class_weights: float `[C]`, or None for ones.
        label_smoothing: The share of the target that is spread over all classes, 0..1.
    """
    logits, labels, axis = _laid_out(logits, labels)
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis)
    losses = -_at_target(log_p, labels, axis)
    if class_weights is not None:
        losses *= _at_labels(class_weights, labels)
        log_p *= _along(class_weights, log_p, axis)
    if label_smoothing:
        losses = (1 - label_smoothing) * losses - label_smoothing * jnp.mean(log_p, axis)
    return jnp.sum(losses, where=labels != IGNORE_LABEL)


def focal_sum(
    *,
    logits: jax.Array,
    labels: jax.Array,
    class_weights: Array | None = None,
    gamma: float = 2.0,
) -> jax.Array:
    """Sum the focal loss `-(1 - p)^gamma log p` over pixels: float32 `[]`.

    Lin et al. 2017, eq. 5, with the softmax probability p of the true class; the class weights
    are its alpha, and are divided by as in cross-entropy (`weighted_pixels`).

    Args:
        logits: float `[N, H, W, C]`; computed with in float32.
        labels: int or uint8 `[N, H, W]`: a class 0..C-1, or 255 for void.
        class_weights: float `[C]`, or None for ones.
        gamma: The exponent, 0 or more; 0 gives the cross-entropy.
    """
    logits, labels, axis = _laid_out(logits, labels)
    log_p = _at_target(jax.nn.log_softmax(logits.astype(jnp.float32), axis), labels, axis)
    losses = -(jnp.maximum(-jnp.expm1(log_p), _MIN_ERROR) ** gamma) * log_p
    if class_weights is not None:
        losses *= _at_labels(class_weights, labels)
    return jnp.sum(losses, where=labels != IGNORE_LABEL)


def ohem_sum(
    *,
    logits: jax.Array,
    labels: jax.Array,
    class_weights: Array | None = None,
    threshold: float = 0.7,
    min_kept: float = 1 / 16,
) -> jax.Array:
    """Sum over images the mean cross-entropy of the hard pixels of each: float32 `[]`.

    Online hard example mining (Shrivastava et al. 2016) as segmentation uses it: a pixel is hard if
    its true class has a probability below the threshold; where fewer than the share `min_kept` of
    an image's labelled pixels are, that share with the highest losses is taken. Divide by
    `labelled_images`.

    Args:
        logits: float `[N, H, W, C]`; computed with in float32.
        labels: int or uint8 `[N, H, W]`: a class 0..C-1, or 255 for void.
        class_weights: float `[C]`, or None for ones.
        threshold: A pixel with a lower probability of its class is hard, 0..1.
        min_kept: The share of an image's labelled pixels that is taken at least, 0..1.
    """
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
    losses, valid = -_at_target(log_p, labels, -1), labels != IGNORE_LABEL
    hard = jax.vmap(functools.partial(_hard, threshold=threshold, min_kept=min_kept))(
        jax.lax.stop_gradient(losses), valid
    )
    weights = jnp.where(hard, 1.0, 0.0)
    if class_weights is not None:
        weights *= _at_labels(class_weights, labels)
    total = jnp.sum(weights, axis=(1, 2))
    means = jnp.sum(weights * losses, axis=(1, 2)) / jnp.where(total > 0, total, 1)
    return jnp.sum(means)


def dice_sum(*, logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Sum over images `1 - Dice`, averaged over the classes that the image holds: float32 `[]`.

    Dice of a class is `2 sum(p y) / (sum(p) + sum(y))` over the image's labelled pixels, with the
    softmax probability p and the truth y in {0, 1} (after Milletari et al. 2016, eq. 3, whose
    denominator has squares). Divide by `labelled_images`.

    Args:
        logits: float `[N, H, W, C]`; computed with in float32.
        labels: int or uint8 `[N, H, W]`: a class 0..C-1, or 255 for void.
    """
    truth, p = _one_hot(labels, logits), _masked_softmax(logits, labels)
    overlap, size = jnp.sum(p * truth, axis=(1, 2)), jnp.sum(p + truth, axis=(1, 2))
    present = jnp.any(truth > 0, axis=(1, 2))
    losses = 1 - 2 * overlap / jnp.where(present, size, 1)
    return jnp.sum(_mean_over_present(losses, present))


def lovasz_softmax_sum(*, logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Sum over images the Lovász-softmax loss, over the classes that each holds: float32 `[]`.

    Berman et al. 2018, sec. 3.1 and alg. 1: the convex extension of each class's Jaccard loss (1 -
    IoU), at the errors `|y - p|` of the image's labelled pixels. Divide by `labelled_images`.

    Args:
        logits: float `[N, H, W, C]`; computed with in float32.
        labels: int or uint8 `[N, H, W]`: a class 0..C-1, or 255 for void.
    """
    truth, p = _one_hot(labels, logits), _masked_softmax(logits, labels)
    errors = jnp.where(labels[..., None] == IGNORE_LABEL, -1.0, jnp.abs(truth - p))
    num_images, *_, num_classes = errors.shape
    by_class = (
        jnp.moveaxis(array.reshape(num_images, -1, num_classes), -1, 1) for array in (errors, truth)
    )
    losses = jax.vmap(jax.vmap(_lovasz_extension))(*by_class)
    return jnp.sum(_mean_over_present(losses, jnp.any(truth > 0, axis=(1, 2))))


def _targets(labels: jax.Array) -> jax.Array:
    """Class indices, with some class or other in place of void."""
    return jnp.where(labels == IGNORE_LABEL, 0, labels).astype(jnp.int32)


def _at_labels(class_weights: Array, labels: jax.Array) -> jax.Array:
    """The weight of each pixel; numpy's arrays cannot be indexed by what is traced."""
    return jnp.asarray(class_weights)[_targets(labels)]


def _laid_out(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array, int]:
    """Return logits, labels and the classes' axis, with pixels in the order of blocks if kept."""
    if not keeps_blocks(logits) or any(n % _BLOCK for n in size_of(logits)):
        return logits, labels, -1
    labels = jnp.squeeze(pixels_last(labels[..., None], _BLOCK), axis=2)
    return pixels_last(logits, _BLOCK), labels, 2


def _at_target(log_p: jax.Array, labels: jax.Array, axis: int) -> jax.Array:
    targets = jnp.expand_dims(_targets(labels), axis)
    if axis == -1:
        return jnp.take_along_axis(log_p, targets, axis)[..., 0]
    # Classes are no axis of a tile: to select one of each costs nothing, to gather does.
    classes = _along(np.arange(log_p.shape[axis]), log_p, axis)
    return jnp.sum(log_p, axis, where=classes == targets)


def _along(vector: Array, like: jax.Array, axis: int) -> Array:
    shape = [1] * like.ndim
    shape[axis] = len(vector)
    return vector.reshape(shape)


def _one_hot(labels: jax.Array, logits: jax.Array) -> jax.Array:
    """The truth as float32 `[N, H, W, C]`; zeros where it is void."""
    return jax.nn.one_hot(labels, logits.shape[-1])


def _masked_softmax(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Probabilities, float32 `[N, H, W, C]`; zeros where the label is void."""
    p = jax.nn.softmax(logits.astype(jnp.float32))
    return jnp.where(labels[..., None] == IGNORE_LABEL, 0, p)


def _mean_over_present(losses: jax.Array, present: jax.Array) -> jax.Array:
    """Average `[N, C]` over the classes of each image; 0 for an image without any."""
    count = jnp.sum(present, axis=1)
    return jnp.sum(losses, axis=1, where=present) / jnp.maximum(count, 1)


def _hard(losses: jax.Array, valid: jax.Array, *, threshold: float, min_kept: float) -> jax.Array:
    """Mark the hard pixels of one image: bool `[H, W]` from losses float32 `[H, W]`."""
    losses = jnp.where(valid, losses, -jnp.inf)
    at_least = jnp.ceil(min_kept * jnp.sum(valid)).astype(jnp.int32)
    falling = -jnp.sort(-losses.ravel())
    limit = jnp.minimum(falling[jnp.maximum(at_least - 1, 0)], -jnp.log(threshold))
    return valid & (losses >= limit)


def _lovasz_extension(errors: jax.Array, truth: jax.Array) -> jax.Array:
    """The loss of one class of one image, from errors and truth float32 `[P]`.

    Void pixels have the error -1: they come last in the order and change nothing before them.
    """
    order = jnp.argsort(jax.lax.stop_gradient(errors), descending=True)
    errors, truth = jnp.maximum(errors[order], 0), truth[order]
    size = jnp.sum(truth)
    left, union = size - jnp.cumsum(truth), size + jnp.cumsum(1 - truth)
    # The steps of 1 - left / union, without the cancellation of neighbours that are almost equal.
    union_before = jnp.maximum(union - 1, 1)  # 1: of a class that the image does not hold
    steps = jnp.where(truth > 0, 1 / union, left / (union * union_before))
    return jnp.sum(errors * steps)
