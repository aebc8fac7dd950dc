"""TIFFs that Pillow does not open: of other bands than grey, grey and alpha, RGB and RGBA."""

import logging
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from gcn_jax import extras
from gcn_jax.data.decoding import refuse_implausible
from gcn_jax.data.problems import Problem

#: How a TIFF, and one for more than 4 GiB, begins, in either order of bytes.
_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: Tags: bands, how a picture is turned, whether bands lie one after the other (2), what bands
#: beyond the colours are, and the values of the last that say alpha.
_BANDS, _ORIENTATION, _PLANES, _EXTRA = 277, 274, 284, 338
_ALPHA = ((1,), (2,))


def needs_tifffile(path: Path) -> bool:
    """Return whether a file is a TIFF of bands that Pillow does not know.

    Args:
        path: The file, which need not be there.
    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damage, which is named when the file is read
            header = file.read(8)
            if header[:4] not in _BEGINNINGS:
                return False
            header += file.read(8) if header[2] == 43 else b""
            tags = TiffImagePlugin.ImageFileDirectory_v2(header)
            file.seek(tags.next)
            tags.load(file)
            bands, is_planar = tags.get(_BANDS, 1), tags.get(_PLANES, 1) == 2
            is_no_alpha = bands == 2 and tags.get(_EXTRA) not in _ALPHA
            # Pillow opens some of the latter two, and drops what is not in the first plane.
            if bands > 4 or is_no_alpha or (is_planar and bands not in (1, 3)):
                return True
            Image.open(path).close()
    except UnidentifiedImageError:
        return True
    except Exception:  # whatever else Pillow raises of one that is damaged
        pass
    return False


def load_tiff(path: Path) -> tuple[np.ndarray, int]:
    """Read a TIFF of one picture, of any bands, interleaved or one after the other.

    Args:
        path: The file.

    Returns:
        uint8 or uint16 `[H, W, C]`, as it is stored; and EXIF's number of how it is turned.

    Raises:
        Problem: It is damaged, holds several pictures or values of another type, is packed in a way
            that tifffile alone does not unpack, or unpacks to far more than it is.
        UserError: Tifffile is not installed.
    """
    with extras.explained():
        import tifffile
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # damage gets one line, below
    try:
        with tifffile.TiffFile(path) as file:
            pages = [page.aspage() for page in file.pages]
            pages = [page for page in pages if not (page.is_reduced or page.is_mask)]
            if not pages:
                raise ValueError("no picture")
            if len(pages) != 1:
                raise Problem(
                    "several frames", f"{path}: it holds {len(pages)} pictures; an image is one"
                )
            (page,) = pages
            if page.dtype not in (np.uint8, np.uint16) or page.imagedepth != 1:
                raise Problem(
                    "unreadable file",
                    f"{path}: its values are {page.dtype} {list(page.shape)}; an image has bands "
                    "of uint8 or uint16",
                )
            size, per_pixel = (page.imagewidth, page.imagelength), page.samplesperpixel * 2
            refuse_implausible(size, per_pixel, path.stat().st_size, str(path))
            planes = page.asarray(squeeze=False, maxworkers=1)[:, 0]  # [S, H, W, C]
            tag = page.tags.get(_ORIENTATION)
            orientation = 1 if tag is None else int(tag.value)
    except Problem:
        raise
    except Exception as error:  # whatever the damage leads to
        if "imagecodecs" in str(error):
            packing = getattr(page.compression, "name", page.compression)
            raise Problem(
                "unreadable file",
                f"{path}: packed as {packing}: pip install imagecodecs, or save it with deflate, "
                "or unpacked",
            ) from None
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise Problem("unreadable file", f"{path}: not a readable image ({reason})") from None
    height, width = planes.shape[1:3]
    return np.moveaxis(planes, 0, 2).reshape(height, width, -1), orientation
