"""The 32 colours of CamVid's original masks, and the 11 classes that SegNet made of them."""

from pathlib import Path

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.problems import Problem

#: The 11 classes in the order of SegNet's label images, and the colours they are drawn in.
CLASSES = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign_symbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}

#: The colours of the original's classes, one line for each of the 11, and last the void.
_GROUPS: tuple[dict[str, tuple[int, int, int]], ...] = (
    {"Sky": (128, 128, 128)},
    {
        "Building": (128, 0, 0),
        "Bridge": (0, 128, 64),
        "Wall": (64, 192, 0),
        "Tunnel": (64, 0, 64),
        "Archway": (192, 0, 128),
    },
    {"Column_Pole": (192, 192, 128), "TrafficCone": (0, 0, 64)},
    {"Road": (128, 64, 128), "LaneMkgsDriv": (128, 0, 192), "LaneMkgsNonDriv": (192, 0, 64)},
    {"Sidewalk": (0, 0, 192), "ParkingBlock": (64, 192, 128), "RoadShoulder": (128, 128, 192)},
    {"Tree": (128, 128, 0), "VegetationMisc": (192, 192, 0)},
    {"SignSymbol": (192, 128, 128), "Misc_Text": (128, 128, 64), "TrafficLight": (0, 64, 64)},
    {"Fence": (64, 64, 128)},
    {
        "Car": (64, 0, 128),
        "SUVPickupTruck": (64, 128, 192),
        "Truck_Bus": (192, 128, 192),
        "Train": (192, 64, 128),
        "OtherMoving": (128, 64, 64),
    },
    {
        "Pedestrian": (64, 64, 0),
        "Child": (192, 128, 64),
        "CartLuggagePram": (64, 0, 192),
        "Animal": (64, 128, 64),
    },
    {"Bicyclist": (0, 128, 192), "MotorcycleScooter": (192, 0, 192)},
    {"Void": (0, 0, 0)},
)

#: The share of an image's pixels whose colour may be none of the 32; they are void.
_STRAY = 1e-3


def labels_of_colors(image: np.ndarray, path: Path) -> np.ndarray:
    """Return the labels of an original mask.

    Args:
        image: uint8 `[H, W, 3]`, the mask as published.
        path: Its file, for a problem.

    Returns:
        uint8 `[H, W]`, 0 to 10, or void.

    Raises:
        Problem: More than one pixel in a thousand has a colour that is none of the 32.
    """
    labels = np.full(2**24, IGNORE_LABEL - 1, np.uint8)
    for label, group in enumerate(_GROUPS):
        for color in group.values():
            labels[_number(np.array(color))] = label if label < len(CLASSES) else IGNORE_LABEL
    label = labels[_number(image)]
    stray = label == IGNORE_LABEL - 1
    if stray.mean() > _STRAY:
        colors, counts = np.unique(image[stray], axis=0, return_counts=True)
        most = np.argsort(-counts)[:5]
        found = ", ".join(f"{tuple(colors[i].tolist())} ({counts[i]} px)" for i in most)
        message = f"{path}: {found}: these colours are none of CamVid's 32; take the published mask"
        raise Problem("unknown colour", message)
    label[stray] = IGNORE_LABEL
    return label


def _number(color: np.ndarray) -> np.ndarray:
    """Number colours, `[..., 3]`, from 0 to 2**24 - 1."""
    return color.astype(np.int64) @ [1 << 16, 1 << 8, 1]
