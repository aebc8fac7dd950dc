"""Sources of any format: recognition, names, and files that are there already."""

import pytest

from gcn_jax.errors import UserError
from tests.helpers.annotated import run


def test_nothing_fits_says_what_was_looked_for(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/notes.txt").write_text("hello")
    with pytest.raises(UserError, match="has notes.txt. Looked for: a .json with images"):
        run(tmp_path / "source")
    with pytest.raises(UserError, match="did you mean labelme"):
        run(tmp_path / "source", form="labelm")
