import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from configs import quickstart
from gcn_jax.data.builders import shapes as shapes_builder
from gcn_jax.training import train_and_evaluate

NOTEBOOK = Path(__file__).parent.parent / "notebooks/quickstart.ipynb"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the notebook and the quick start's run, cut short."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(NOTEBOOK.parent, home / "notebooks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes_builder, "_SPLITS", {"train": (16, 1), "val": (4, 2)})
        config = quickstart.get_config()
        config.num_devices = 1
        config.num_steps = 2
        config.eval_batch_size = 4
        config.data.data_dir = str(home / "data")
        train_and_evaluate(config, home / "runs/quickstart")
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
