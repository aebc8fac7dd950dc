"""Layers in numpy and float64, window by window, for networks to be compared with."""

import numpy as np


def convolve(x, layer, padding=0, dilation=1):
    """Convolve `[N, H, W, C]` with `{"kernel": [kh, kw, C, C'], "bias": [C']}` at stride 1."""
    kernel = np.asarray(layer["kernel"], np.float64)
    kh, kw = kernel.shape[:2]
    x = np.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    height, width = (
        n - dilation * (k - 1) for n, k in zip(x.shape[1:3], kernel.shape[:2], strict=True)
    )
    taps = (
        x[:, dilation * i :, dilation * j :][:, :height, :width] @ kernel[i, j]
        for i in range(kh)
        for j in range(kw)
    )
    return sum(taps) + np.asarray(layer["bias"], np.float64)


def normalize(x, layer, statistics):
    """Normalise with the running statistics of a batch-norm."""
    scale, bias, mean, var = (
        np.asarray(array, np.float64)
        for array in (layer["scale"], layer["bias"], statistics["mean"], statistics["var"])
    )
    return (x - mean) / np.sqrt(var + 1e-5) * scale + bias


def conv_norm_relu(x, params, statistics, padding=0, dilation=1):
    """Apply a `ConvNormReLU`."""
    y = convolve(x, {**params["conv"], "bias": 0.0}, padding, dilation)
    return np.maximum(normalize(y, params["bn"], statistics["bn"]), 0)


def score_head(x, params, statistics, shape):
    """Apply a `ScoreHead` without dropout, and resize its scores to (H, W)."""
    y = conv_norm_relu(x, params["reduce"], statistics["reduce"], padding=1)
    return np.stack([interpolate(scores, shape) for scores in convolve(y, params["score"])])


def conv_stack(x, params, statistics=None, paddings=(1, 1, 1), dilation=1):
    """Apply conv1, (bn1,) ReLU, conv2, ... of a `ConvStack`."""
    count = sum(name.startswith("conv") for name in params)
    for i, padding in zip(range(1, count + 1), paddings, strict=False):
        x = convolve(x, params[f"conv{i}"], padding, dilation)
        if statistics:
            x = normalize(x, params[f"bn{i}"], statistics[f"bn{i}"])
        x = np.maximum(x, 0)
    return x


def window_starts(n, window, strides, padding, ceil_mode):
    """Return where windows start, counted from the first pixel, by trying every one."""
    found = []
    for start in range(-padding, n + padding, strides):
        fits = start + window <= n + padding
        leftover = start - strides + window < n + padding  # of the windows before this one
        if fits or (ceil_mode and leftover and start < n):
            found.append(start)
    return found


def max_pool(x, window, strides, padding, ceil_mode):
    """Max-pool `[N, H, W, C]` window by window, over the pixels that are in the image."""
    rows, columns = (window_starts(n, window, strides, padding, ceil_mode) for n in x.shape[1:3])
    y = np.empty((x.shape[0], len(rows), len(columns), x.shape[3]), x.dtype)
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            area = x[:, max(top, 0) : top + window, max(left, 0) : left + window]
            y[:, i, j] = area.max(axis=(1, 2))
    return y


def deconvolve_bilinear(x, factor):
    """Spread every pixel over a window of 2f x 2f, with Caffe's bilinear filler, at stride f."""
    size = 2 * factor
    taps = 1 - np.abs(np.arange(size) / factor - (2 * factor - 1 - factor % 2) / (2.0 * factor))
    n, height, width, c = x.shape
    y = np.zeros((n, factor * (height + 1), factor * (width + 1), c))
    window = np.outer(taps, taps)[None, :, :, None]
    for i, j in np.ndindex(height, width):
        top, left = factor * i, factor * j
        y[:, top : top + size, left : left + size] += window * x[:, i, None, j, None]
    return y


def interpolate(image, shape):
    """Resize `[H, W, K]` by NumPy's interpolation of points, which repeats the border too."""
    for axis, length in enumerate(shape):
        old = image.shape[axis]
        places = (np.arange(length) + 0.5) * old / length - 0.5
        image = np.apply_along_axis(
            lambda line, at=places: np.interp(at, np.arange(len(line)), line), axis, image
        )
    return image
