"""The notebooks run from top to bottom, and what they hold was written without a warning."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.helpers.runs import write_quickstart

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def run(home, name):
    """Run a notebook in a folder of its own; return its pictures, and all its text."""
    shutil.copytree(
        NOTEBOOKS, home / "notebooks", ignore=shutil.ignore_patterns("finetuned", ".ipynb*")
    )
    notebook = nbformat.read(home / f"notebooks/{name}.ipynb", as_version=4)
    resources = {"metadata": {"path": home / "notebooks"}}
    NotebookClient(notebook, timeout=900, resources=resources).execute()
    return outputs_of(notebook)


def outputs_of(notebook):
    """Return the number of pictures of a notebook, its text, and its names of streams."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs]
    return pictures, "".join(texts), {o.get("name") for o in outputs}


@pytest.mark.slow
def test_quickstart_runs_and_plots(tmp_path):
    write_quickstart(tmp_path / "runs/quickstart")
    pictures, text, streams = run(tmp_path, "quickstart")
    assert pictures == 2
    assert "26,087,588 parameters" in text
    assert text.count("% of the pixels are right") == 4
    assert "stderr" not in streams


@pytest.mark.slow
def test_finetune_trains_and_plots(tmp_path):
    pictures, text, streams = run(tmp_path, "finetune")
    assert pictures == 2
    assert "problems: []" in text
    assert "step 200: val mIoU" in text
    assert "stderr" not in streams


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_stored_as_they_ran_from_top_to_bottom_or_have_not_run(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in cells]
    pictures, text, streams = outputs_of(notebook)
    if any(counts):
        assert counts == [*range(1, len(cells) + 1)]
        assert pictures == 2
    else:
        assert not text
    assert "stderr" not in streams
    assert "warning" not in text.lower()
    assert '%pip install --quiet "..[train]"' in cells[0].source
