"""Receptive fields in numbers: tables for a person, values for a file."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from gcn_jax import models
from gcn_jax.analysis.receptive_field.sight import SHARE, Sight
from gcn_jax.analysis.receptive_field.theory import OUTPUT, AxisField, ReceptiveField
from gcn_jax.analysis.receptive_field.units import share_inside
from gcn_jax.errors import check_choice


class Network(NamedTuple):
    """A trained network and what its layers can see.

    Attributes:
        name: The name of its workdir.
        pretrained: The network.
        fields: The theoretical receptive field of each layer.
    """

    name: str
    pretrained: models.Pretrained
    fields: dict[str, ReceptiveField]


#: In pixels: for these the file says which share of a map lies within them.
_RADII = (4, 8, 16, 32, 64, 128)

#: (name of a network, factor by which the image is enlarged) -> what it sees in each scene.
Sights = Mapping[tuple[str, float], Sequence[Sight]]


def layer_table(title: str, fields: Mapping[str, ReceptiveField], names: Sequence[str]) -> Table:
    """List theoretical receptive fields.

    Args:
        title: The name of the network.
        fields: The field of each layer by its name, from `receptive_fields`.
        names: The layers to list; none for the outputs of the backbone's stages and of the other
            main parts, "all" alone for every layer.

    Raises:
        UserError: There is no such layer.
    """
    if not names:
        names = [n for n in fields if "/" not in n or re.fullmatch(r"backbone/res\d", n)]
    elif list(names) == ["all"]:
        names = list(fields)
    table = Table("layer", title=f"{title}: theoretical receptive fields")
    for column in ("size, px", "stride, px", "offset, px"):
        table.add_column(column, justify="right")
    for name in names:
        check_choice("layer", name, fields)
        table.add_row(name, *_texts(fields[name]))
    return table


def _texts(field: ReceptiveField) -> tuple[str, ...]:
    """Say size, stride and offset: once where both axes are alike, else vertical x horizontal."""

    def texts(axis: AxisField | None) -> tuple[str, ...]:
        if axis is None:
            return "as the image", "-", "-"
        return str(axis.size), str(axis.stride), f"{axis.offset:g}"

    pairs = zip(*map(texts, field), strict=True)
    return tuple(v if v == h else f"{v} x {h}" for v, h in pairs)


def sight_table(networks: Sequence[Network], sights: Sights) -> Table:
    """Set the three receptive fields of an output beside each other.

    Args:
        networks: The networks.
        sights: What each of them sees, at each scale, in each scene.
    """
    count = len(next(iter(sights.values())))
    share = f"{100 * SHARE:.0f} %"
    table = Table(
        "network",
        "image",
        title=f"{count} image{'s'[: count > 1]}: size of the theoretical field; radius in px that "
        f"holds {share} of the effective and of the valid one; share of the object in the "
        f"theoretical field, and in the smallest area that holds {share} of the valid one",
    )
    for column in ("theory", "effective", "valid", "object: theory", "valid"):
        table.add_column(column, justify="right")
    fields = {network.name: network.fields[OUTPUT] for network in networks}
    for (name, scale), seen in sights.items():
        mean = {key: np.mean([s.measures()[key] for s in seen]) for key in seen[0].measures()}
        table.add_row(
            name,
            f"x {scale:g}",
            _texts(fields[name])[0],
            *(f"{mean[key]:.1f}" for key in ("effective_radius", "valid_radius")),
            *(f"{100 * mean[key]:.0f} %" for key in ("object_in_theoretical", "object_in_valid")),
        )
    return table


def numbers(networks: Sequence[Network], sights: Sights) -> dict[str, Any]:
    """Return everything that the tables are made of as JSON values.

    Args:
        networks: The networks.
        sights: What each of them sees, at each scale, in each scene.

    Returns:
        Two entries. "layers" has by network and layer its vertical and horizontal field, null where
            it depends on the size of the image; "scores" has for each network, scale and image the
            unit, the box and what `Sight.measures` returns.
    """
    return {
        "layers": {
            network.name: {name: _plain(field) for name, field in network.fields.items()}
            for network in networks
        },
        "scores": [
            {
                "network": name,
                "enlarged": scale,
                "unit": sight.scene.unit._asdict(),
                "box": sight.box,
                **sight.measures(),
                "shares_within_radius": {
                    name: {
                        radius: share_inside(getattr(sight, name), sight.scene.unit, radius)
                        for radius in _RADII
                    }
                    for name in ("effective", "valid")
                },
            }
            for (name, scale), seen in sights.items()
            for sight in seen
        ],
    }


def _plain(field: ReceptiveField) -> dict[str, Any]:
    return {
        name: axis and {"size": axis.size, "stride": float(axis.stride), "offset": axis.offset}
        for name, axis in field._asdict().items()
    }
