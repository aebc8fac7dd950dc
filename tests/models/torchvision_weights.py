"""State dicts of torchvision's ResNets without torch: names and shapes, and seeded values."""

import zlib

import numpy as np

STAGE_SIZES = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def state_dict(depth: int) -> dict[str, np.ndarray]:
    """Return every tensor of torchvision's `resnet{depth}().state_dict()`, with seeded values."""
    return {name: _value(name, shape) for name, shape in _shapes(depth).items()}


def _shapes(depth):
    shapes = {"conv1.weight": (64, 3, 7, 7), **_norm("bn1", 64)}
    channels = 64
    for stage, num_blocks in enumerate(STAGE_SIZES[depth]):
        width = 64 * 2**stage
        for i in range(num_blocks):
            block = f"layer{stage + 1}.{i}"
            if depth < 50:
                convs = [(width, channels, 3), (width, width, 3)]
            else:
                convs = [(width, channels, 1), (width, width, 3), (4 * width, width, 1)]
            for j, (c_out, c_in, k) in enumerate(convs):
                shapes[f"{block}.conv{j + 1}.weight"] = (c_out, c_in, k, k)
                shapes |= _norm(f"{block}.bn{j + 1}", c_out)
            c_out = convs[-1][0]
            if c_out != channels:
                shapes[f"{block}.downsample.0.weight"] = (c_out, channels, 1, 1)
                shapes |= _norm(f"{block}.downsample.1", c_out)
            channels = c_out
    return shapes | {"fc.weight": (1000, channels), "fc.bias": (1000,)}


def _norm(name, channels):
    leaves = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{leaf}": (channels,) for leaf in leaves} | {f"{name}.num_batches_tracked": ()}


def _value(name, shape):
    if name.endswith("num_batches_tracked"):
        return np.array(7)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    n = rng.standard_normal(shape).astype("float32")
    if n.ndim > 1:
        n = n * np.sqrt(0.8 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        n = 1 + 0.1 * np.abs(n)
    elif name.endswith("weight"):
        n = 1 + 0.1 * n
    else:
        n = 0.1 * n
    return n.astype("float32")
