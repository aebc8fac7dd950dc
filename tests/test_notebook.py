import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from configs import quickstart
from gcn_jax.data.shapes import world
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.models.pretrained.info import ModelInfo
from tests.helpers.runs import write_untrained

NOTEBOOK = Path(__file__).parent.parent / "notebooks/quickstart.ipynb"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the notebook and the quick start's network, as it is before training."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(NOTEBOOK.parent, home / "notebooks")
    fields = {**quickstart.get_config().model, "num_classes": len(world.CLASS_NAMES)}
    palette = tuple((20 * i, 255 - 20 * i, 0) for i in range(len(world.CLASS_NAMES)))
    name = fields.pop("name")
    info = ModelInfo(name, fields, world.CLASS_NAMES, palette, IMAGENET_MEAN, IMAGENET_STD)
    write_untrained(home / "runs/quickstart", info, step=2, miou=0.1)
    return home


def test_notebook_runs_and_plots(home):
    notebook = nbformat.read(home / "notebooks/quickstart.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": home / "notebooks"}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    text = "".join(output.get("text", "") for output in outputs)
    assert "26,087,588 parameters" in text
    assert text.count("% of the pixels are right") == 4


def test_notebook_is_committed_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
