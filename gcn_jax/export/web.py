"""A folder for any static host: a page, the ONNX file and what runs it in a browser.

onnxruntime-web is taken from its npm package, pinned: in 1.27.0 no telemetry was found, as native
releases from 1.30 on hold it.
"""

import base64
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gcn_jax import atomic
from gcn_jax.downloads import published_file
from gcn_jax.errors import UserError
from gcn_jax.export.check import Difference
from gcn_jax.export.onnx_file import write_onnx
from gcn_jax.export.target import Target
from gcn_jax.models import ModelInfo

#: The npm package, the digest that its registry states, and the files that a page loads.
RUNTIME_URL = "https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.27.0.tgz"
_INTEGRITY = (
    "sha512-ogDLsqIozHZwifPuN37OproAo0byX6t43/bP8GzeZWBW"
    "D6MOGExswFAx3up4NS/vvWBOg2u2PXomDt3rMmdQSg=="
)
_RUNTIME_FILES = (
    "package/package.json",  # with version and licence
    "package/dist/ort.wasm.bundle.min.mjs",
    "package/dist/ort-wasm-simd-threaded.wasm",
)

_TEMPLATES = Path(__file__).parent / "templates"


def fetch_runtime() -> Path:
    """Return the npm package of onnxruntime-web; download it if it is not there.

    Raises:
        UserError: It cannot be had, or what is there is another file than was published.
    """
    algorithm, _, digest = _INTEGRITY.partition("-")
    purpose = "--format web holds onnxruntime-web"
    hexadecimal = base64.b64decode(digest).hex()
    return published_file(RUNTIME_URL, "npm", algorithm, hexadecimal, purpose)


def check_images(info: ModelInfo) -> None:
    """Raise `UserError` unless a browser shows such images as a network takes.

    Args:
        info: The network's.
    """
    if info.channels not in (1, 3) or info.image_dtype != "uint8":
        raise UserError(
            f"--format web: the network takes images of {info.channels} channels, "
            f"{info.image_dtype}, and a browser has pictures of 1 or 3 with 8 bits; "
            "--format onnx and stablehlo hold it"
        )


def write_web(
    target: Target,
    folder: str | Path,
    batches: Sequence[np.ndarray],
    size: tuple[int, int] | None = None,
) -> list[Difference]:
    """Write a folder whose page segments pictures in the browser that opens it.

    Args:
        target: The model, with the output "labels", which `check_images` lets pass.
        folder: The folder; files of others in it are left alone.
        batches: The images to compare on, as `write_onnx` takes them.
        size: The height and width of all images; None for any.

    Returns:
        The difference of each output of the ONNX file, as onnxruntime computes it here.

    Raises:
        UserError: What `write_onnx` and `fetch_runtime` raise; or the folder cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; --format web writes a folder")
    package = fetch_runtime()
    differences = write_onnx(target, folder / "model.onnx", batches, size)
    with tarfile.open(package) as members:
        for name in _RUNTIME_FILES:
            file = members.extractfile(name)
            assert file is not None
            atomic.write(folder / "onnxruntime-web" / Path(name).name, file.read())
    page = render("web.html.jinja", title=f"{target.metadata['model']} in the browser")
    atomic.write(folder / "index.html", page)
    return differences


def render(template: str, folder: str | Path = _TEMPLATES, **values: object) -> str:
    """Return a page.

    Args:
        template: The name of a template.
        folder: Where it lies; what it extends may lie in `templates/` here.
        **values: What it names; text is escaped.
    """
    import jinja2  # here: other exports need no templates

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
