"""The permutohedral lattice of a set of points, built on the host: where points, and vertices, are.

Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice" (2010). A
point of d features lies in a simplex with d + 1 vertices of the lattice, its corners; its
barycentric weights say how near it is to each. A vertex has d + 1 integer coordinates that sum to
zero and are equal modulo d + 1; of each remainder, a point has one corner.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from gcn_jax.errors import UserError

#: Corners that `Tables.chunks` sums at a time.
CHUNK = 4


class Lattice(NamedTuple):
    """The lattice of one image's n points, with M vertices in d dimensions; NumPy arrays.

    Attributes:
        corners: int32 [d + 1, n], the vertices of each point's simplex, by remainder.
        weights: float32 [d + 1, n], their barycentric weights.
        points: int32 [(d + 1) * n], the points of all (corner, point) pairs sorted by vertex.
        degrees: int64 `[M]`, the number of such pairs of each vertex, at least 1.
        neighbors: int32 [d + 1, 2, M], the vertices before and after along each axis; -1 if absent.
    """

    corners: np.ndarray
    weights: np.ndarray
    points: np.ndarray
    degrees: np.ndarray
    neighbors: np.ndarray


class Tables(NamedTuple):
    """The lattices of a batch as one, padded: P points and M vertices, the last of each unused.

    Attributes:
        corners: int32 [d + 1, P]; of padding, the last vertex.
        weights: float32 [d + 1, P]; of padding, zero.
        chunks: int32 `[CHUNK, R]`, pairs corner * P + point of one vertex each, padded with the
            last.
        owners: int32 `[R]`, the vertex of each chunk, ascending.
        neighbors: int32 [d + 1, 2, M]; of padding and where absent, the last vertex.
    """

    corners: np.ndarray
    weights: np.ndarray
    chunks: np.ndarray
    owners: np.ndarray
    neighbors: np.ndarray


def build_lattice(features: np.ndarray) -> Lattice:
    """Find the simplex of each point, number the vertices, and find their neighbours.

    Args:
        features: float32 [n, d], in standard deviations of the Gaussian; below 2^20, so that
            float32 has bits left for the place within a simplex.

    Raises:
        UserError: The features spread over so many standard deviations that vertices cannot be
            numbered with 63 bits.
    """
    coordinates, order, weights = _simplices(np.ascontiguousarray(features.T))
    d, num_points = coordinates.shape
    strides = _strides(coordinates, num_points)
    keys = np.empty((d + 1, num_points), np.int64)
    keys[0] = strides[:d] @ (coordinates - coordinates.min(axis=1, keepdims=True) + 2)
    for k in range(d):
        np.subtract(keys[k], strides[order[k]], out=keys[k + 1])
    with ThreadPoolExecutor(min(d + 1, os.cpu_count() or 1)) as pool:
        corners, points, degrees, vertices = zip(*pool.map(_number, keys), strict=True)
    firsts = np.cumsum([0, *map(len, vertices[:-1])], dtype=np.int32)
    return Lattice(
        corners=np.stack(corners) + firsts[:, None],
        weights=weights,
        points=np.concatenate(points),
        degrees=np.concatenate(degrees),
        neighbors=_neighbors(vertices, strides),
    )


def _number(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Number the distinct keys of n points in ascending order.

    Returns:
        int32 [n], the number of each point's key; int32 [n], the points sorted by it; int64 `[M]`,
        the points of each number; int64 `[M]`, their keys.
    """
    # One sort of key and point together is quicker than an argsort.
    bits = len(keys).bit_length()
    pairs = np.sort(keys << bits | np.arange(len(keys)))
    points = (pairs & ((1 << bits) - 1)).astype(np.int32)
    pairs >>= bits
    first = np.ones(len(keys), bool)
    np.not_equal(pairs[1:], pairs[:-1], out=first[1:])
    numbers = np.empty_like(points)
    numbers[points] = np.cumsum(first, dtype=np.int32) - 1
    starts = np.flatnonzero(first)
    return numbers, points, np.diff(starts, append=len(keys)), pairs[starts]


def join_lattices(lattices: Sequence[Lattice], num_points: int, num_vertices: int) -> Tables:
    """Put the lattices of a batch's images side by side, as that of one set of points.

    Args:
        lattices: Lattices of d dimensions each, of fewer points than `num_points` together, and
            of fewer vertices than `num_vertices`.
        num_points: P.
        num_vertices: M.
    """
    num_corners = len(lattices[0].corners)
    unused = num_vertices - 1
    num_pairs = num_corners * num_points
    # A vertex of n pairs has at most (n + CHUNK - 1) / CHUNK chunks.
    num_chunks = -(-(num_pairs + (CHUNK - 1) * num_vertices) // CHUNK)
    tables = Tables(
        corners=np.full((num_corners, num_points), unused, np.int32),
        weights=np.zeros((num_corners, num_points), np.float32),
        chunks=np.full((CHUNK, num_chunks), num_pairs - 1, np.int32),
        owners=np.full(num_chunks, unused, np.int32),
        neighbors=np.full((num_corners, 2, num_vertices), unused, np.int32),
    )
    point = vertex = chunk = 0  # of the next image
    for lattice in lattices:
        points = slice(point, point + lattice.corners.shape[1])
        vertices = slice(vertex, vertex + len(lattice.degrees))
        chunks, owners = _chunks(lattice, num_points)
        tables.corners[:, points] = lattice.corners + vertex
        tables.weights[:, points] = lattice.weights
        present = lattice.neighbors >= 0
        tables.neighbors[..., vertices] = np.where(present, lattice.neighbors + vertex, unused)
        part = slice(chunk, chunk + len(owners))
        tables.chunks[:, part] = np.where(chunks >= 0, chunks + point, num_pairs - 1)
        tables.owners[part] = owners + vertex
        point, vertex, chunk = points.stop, vertices.stop, part.stop
    return tables


def _strides(coordinates: np.ndarray, num_points: int) -> np.ndarray:
    """Return int64 [d + 1] that number coordinates [d, n] uniquely; the last, left out, is 0."""
    # One to spare for the other corners, one more for the neighbours, on either side.
    sizes = [int(c.max() - c.min()) + 5 for c in coordinates]
    strides = [1]
    for size in reversed(sizes):
        strides.append(strides[-1] * size)
    if strides.pop() * 2 ** num_points.bit_length() >= 2**63:
        raise UserError(
            f"an image of {num_points} points spans a lattice of {' x '.join(map(str, sizes))} "
            "vertices, too many to number; use larger standard deviations (sxy, srgb)"
        )
    return np.array([*reversed(strides), 0], np.int64)


def _neighbors(vertices: Sequence[np.ndarray], strides: np.ndarray) -> np.ndarray:
    """Find neighbours among the sorted keys of each remainder: int32 [d + 1, 2, M], -1: absent."""
    num_corners = len(vertices)
    ends = np.cumsum([len(keys) for keys in vertices])
    neighbors = np.full((num_corners, 2, ends[-1]), -1, np.int32)
    for source, keys in enumerate(vertices):
        # One step along an axis: its coordinate grows by d, the others and the remainder fall by 1.
        others = vertices[source - 1]
        start, other_start = ends[source] - len(keys), ends[source - 1] - len(others)
        for axis, stride in enumerate(strides):
            wanted = keys + (stride - (strides.sum() if source == 0 else 0))
            found = np.minimum(np.searchsorted(others, wanted), len(others) - 1)
            here = np.flatnonzero(others[found] == wanted)
            there = found[here] + other_start
            neighbors[axis, 0, here + start] = there
            neighbors[axis, 1, there] = here + start
    return neighbors


def _chunks(lattice: Lattice, num_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut each vertex's pairs into chunks: [CHUNK, R], -1 where there is none; owners [R]."""
    num_corners, num_own_points = lattice.corners.shape
    counts = -(-lattice.degrees // CHUNK)
    owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    # Where each pair goes: next to the one before it, or where its vertex's first chunk starts.
    gaps = CHUNK * counts - lattice.degrees
    shifts = np.cumsum(gaps) - gaps
    places = np.arange(lattice.points.size) + np.repeat(shifts, lattice.degrees)
    chunks = np.full(len(owners) * CHUNK, -1, np.int32)
    rows = np.arange(num_corners, dtype=np.int32)[:, None] * np.int32(num_points)
    chunks[places] = (lattice.points.reshape(num_corners, num_own_points) + rows).ravel()
    return chunks.reshape(-1, CHUNK).T, owners


def _simplices(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Locate points, float32 [d, n], as the paper's section 3.1 does.

    Returns:
        int32 [d, n]: the coordinates of the corner of remainder 0, divided by d + 1; the last is
        left out, as all sum to zero. intp [d + 1, n]: row k is which coordinate falls from the
        corner of remainder k to the next, where all others grow by one. float32 [d + 1, n]: the
        barycentric weights, by remainder.
    """
    d, num_points = features.shape
    elevated = _elevate(features)
    rounded = np.rint(elevated * np.float32(1 / (d + 1)))  # half to even
    rests = elevated - rounded * (d + 1)
    # How many of them are larger; it differs from a permutation by how far off the plane we are.
    rank = np.broadcast_to(rounded.sum(axis=0).astype(np.int8), (d + 1, num_points)).copy()
    for i in range(d + 1):
        for j in range(i + 1, d + 1):
            less = rests[i] < rests[j]
            rank[i] += less
            rank[j] += ~less
    wrap = (rank < 0).astype(np.int8) - (rank > d)
    rank += (d + 1) * wrap
    rounded += wrap
    distances = (elevated - rounded * (d + 1)) * np.float32(1 / (d + 1))
    places = (d - rank.astype(np.intp)) * num_points + np.arange(num_points)
    order = np.empty((d + 1, num_points), np.intp)
    order.ravel()[places] = np.arange(d + 1)[:, None]
    weights = np.empty((d + 1, num_points), np.float32)
    weights.ravel()[places] = distances
    weights -= np.roll(weights, 1, axis=0)
    weights[0] += 1
    return rounded[:d].astype(np.int32), order, weights


def _elevate(features: np.ndarray) -> np.ndarray:
    """Rotate and scale points into the plane of the lattice: [d, n] to [d + 1, n], sums zero."""
    d, num_points = features.shape
    axes = np.arange(1, d + 1)
    scales = np.sqrt(2 / 3) * (d + 1) / np.sqrt(axes * (axes + 1))
    scaled = features * scales[:, None].astype(np.float32)
    elevated = np.empty((d + 1, num_points), np.float32)
    total = np.zeros(num_points, np.float32)
    for i in range(d, 0, -1):
        elevated[i] = total - np.float32(i) * scaled[i - 1]
        total += scaled[i - 1]
    elevated[0] = total
    return elevated
