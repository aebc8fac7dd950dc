"""Published files of weights, with the SHA-256 that tells each from any other file."""

from typing import NamedTuple


class Pinned(NamedTuple):
    """A published file.

    Attributes:
        address: An https address, or what `hub.weights_file` takes.
        sha256: What its SHA-256 begins with, in hexadecimal digits; all 64 where they are known,
            none if nothing is.
    """

    address: str
    sha256: str = ""


def torchvision_file(name: str, sha256: str) -> Pinned:
    """Return a file of torchvision, whose name ends in the first eight digits of its SHA-256.

    Args:
        name: What its name begins with, such as "resnet50".
        sha256: At least those eight digits.
    """
    return Pinned(f"https://download.pytorch.org/models/{name}-{sha256[:8]}.pth", sha256)
