"""Prefixes that others put before the names of a backbone's tensors."""

import re
from collections.abc import Mapping

import numpy as np

from gcn_jax.weights.registry import SOURCE_FILES

#: Names of what a backbone was a part of: DataParallel's, MoCo's, those of segmentation codes.
_PARTS = (
    *("module", "model", "backbone", "encoder", "encoder_q", "base_encoder", "pretrained"),
    "convnext",
    "segformer",
)
_FIRST_LAYERS = "|".join(re.escape(name) for file in SOURCE_FILES for name in file.FIRST_LAYERS)
_FIRST = re.compile(rf"((?:(?:{'|'.join(_PARTS)})\.)*)(?:{_FIRST_LAYERS})\.weight")


def without_prefix(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Strip prefixes such as "module.encoder_q." from the names of tensors.

    The prefix is the one under which the first convolution of a backbone is; what is not under it
    (a head, MoCo's queue and second encoder) is left out.

    Args:
        state_dict: Tensor name to array.

    Returns:
        The tensors of the backbone by their bare names; all as they are where there is no prefix.
    """
    firsts = (_FIRST.fullmatch(name) for name in state_dict)
    prefixes = {match[1] for match in firsts if match}
    if len(prefixes) != 1:
        return dict(state_dict)
    (prefix,) = prefixes
    return {
        name.removeprefix(prefix): array
        for name, array in state_dict.items()
        if name.startswith(prefix)
    }
