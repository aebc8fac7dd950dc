"""The families of published files, and which of them a file is of."""

from collections.abc import Iterator
from typing import NamedTuple

from gcn_jax.errors import UserError, check_choice
from gcn_jax.models.registry import MODELS
from gcn_jax.weights.published import (
    caffe,
    deeplab_pytorch,
    pytorch_fcn,
    segformer,
    semseg,
    smp,
    torchvision,
    upernet,
)
from gcn_jax.weights.published.family import Family, Identity, Tensors

#: All families. Those without `only_as` know different files.
FAMILIES: tuple[Family, ...] = (
    *pytorch_fcn.FAMILIES,
    *deeplab_pytorch.FAMILIES,
    *semseg.FAMILIES,
    *torchvision.FAMILIES,
    *smp.FAMILIES,
    *upernet.FAMILIES,
    *segformer.FAMILIES,
    *caffe.FAMILIES,
)

#: Names that a message lists.
_SHOWN = 4


class Found(NamedTuple):
    """A file of weights that a family knows.

    Attributes:
        family: The family of published files.
        identity: The network.
        tensors: The tensors without the prefix of all their names.
    """

    family: Family
    identity: Identity
    tensors: Tensors


def identify(tensors: Tensors, network: str | None = None) -> Found:
    """Find the family and the network that tensors are of, by their names and shapes.

    Args:
        tensors: Tensor name to array. A prefix that all names share, such as "module." or
            "model.base.", is left out.
        network: What the network must be, by its name for `create_model` or a family's `only_as`;
            any if None.

    Raises:
        UserError: No family knows them: the message says what they are most like. Or they are of
            another network, or there is none of that name.
    """
    special = {family.only_as for family in FAMILIES if family.only_as}
    if network is not None:
        check_choice("network", network, [*MODELS, *special])
    asked_for = network if network in special else None
    found = [
        Found(family, identity, stripped)
        for stripped in _without_prefixes(tensors)
        for family in FAMILIES
        if family.only_as in (None, asked_for)
        if (identity := family.identify(stripped)) is not None
    ]
    if not found:
        raise UserError(_unlike(tensors))
    for one in found:
        if network in (None, one.family.only_as or one.identity.network):
            return one
    others = ", ".join(f"{one.identity.network} ({one.family.title})" for one in found)
    raise UserError(f"these are the weights of {others}, not of {network}")


def _without_prefixes(tensors: Tensors) -> Iterator[Tensors]:
    """Yield the tensors as they are, then without the first part of the names that all share."""
    while tensors:
        yield tensors
        firsts = {name.partition(".")[0] for name in tensors}
        if len(firsts) > 1 or not all("." in name for name in tensors):
            return
        tensors = {name.partition(".")[2]: array for name, array in tensors.items()}


def _unlike(tensors: Tensors) -> str:
    """Say what tensors that no family knows are most like, and what they lack for it."""
    *_, bare = [tensors, *_without_prefixes(tensors)]
    families = [family for family in FAMILIES if not family.only_as]
    known = ", ".join(family.title for family in families)
    message = f"its {len(bare)} tensors are of no network that can be imported; there are {known}. "
    lacking = {
        family.title: [name for name in family.names if name not in bare]
        for family in families
        if family.names
    }
    shares = {f.title: len(lacking[f.title]) / len(f.names) for f in families if f.names}
    nearest = min(shares, key=shares.__getitem__)
    shown = lacking[nearest] if shares[nearest] < 1 else [*bare]
    names = ", ".join(shown[:_SHOWN]) + (" and so on" if len(shown) > _SHOWN else "")
    if shares[nearest] == 1:
        message += f"They are called {names or 'nothing'}"
    elif shown:
        message += f"It is most like {nearest}, but lacks {len(shown)} of its tensors: {names}"
    else:
        message += f"It has the names of {nearest}, but shapes or a depth that are not known there"
    return f"{message}. Weights of a backbone alone are for the setting backbone_weights"
