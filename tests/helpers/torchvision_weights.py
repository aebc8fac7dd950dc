"""State dicts of torchvision's networks without torch: names and shapes, and seeded values."""

import zlib

import numpy as np

STAGE_SIZES = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}

#: Channels of VGG-16's convolutions, and the numbers of these layers without and with batch-norm.
VGG_CHANNELS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGG_LAYERS = {
    False: (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    True: (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40),
}


def state_dict(depth: int) -> dict[str, np.ndarray]:
    """Return every tensor of torchvision's `resnet{depth}().state_dict()`, with seeded values."""
    return {name: value(name, shape) for name, shape in _shapes(depth).items()}


def vgg_state_dict(*, batch_norm: bool, divisor: int = 1) -> dict[str, np.ndarray]:
    """Return every tensor of `vgg16` or `vgg16_bn`, with channels divided by a number."""
    shapes, channels = {}, 3
    for i, c_out in zip(VGG_LAYERS[batch_norm], VGG_CHANNELS, strict=True):
        shapes[f"features.{i}.weight"] = (c_out // divisor, channels, 3, 3)
        shapes[f"features.{i}.bias"] = (c_out // divisor,)
        if batch_norm:
            shapes |= _norm(f"features.{i + 1}", c_out // divisor)
        channels = c_out // divisor
    inputs = 49 * channels
    for i, c_out in ((0, 4096 // divisor), (3, 4096 // divisor), (6, 1000)):
        shapes |= {f"classifier.{i}.weight": (c_out, inputs), f"classifier.{i}.bias": (c_out,)}
        inputs = c_out
    return {name: value(name, shape) for name, shape in shapes.items()}


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


def value(name, shape):
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
