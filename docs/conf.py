"""The site: `sphinx-build -W -b html docs docs/_build/html`, without a network.

Pages with code cells run while it is built; the notebooks are shown as they are stored.
"""

import re

from gcn_jax import __version__

project = "gcn_jax"
author = copyright = "The gcn_jax authors"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "notebooks/finetuned"]
html_theme = "furo"
html_title = f"gcn_jax {__version__}"
html_copy_source = False

myst_heading_anchors = 3  # so that links such as data.md#archives are checked
nb_execution_mode = "force"
nb_execution_excludepatterns = ["notebooks/*"]
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# Docstrings are Google's style with code in single backticks.
default_role = "code"
add_module_names = False
autodoc_default_options = {
    "members": True,
    "imported-members": True,  # a room's `__all__` names what is public
    "member-order": "bysource",
    "special-members": "__call__",
}
autodoc_preserve_defaults = True
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False


def setup(app):
    """Leave out of the reference what is of Python and Flax, not of the classes documented."""
    app.connect("autodoc-process-signature", _signature_as_written)
    app.connect("autodoc-skip-member", _skip_fields)


def _signature_as_written(app, what, name, obj, options, signature, returns):
    """Cut `parent` and `name`, which every Linen module has, off a constructor; shorten dtypes."""
    if what == "class" and signature:
        signature = re.sub(r", (\*, )?parent: .*\)$", ")", signature)
        signature = re.sub(r"<class 'jax\.numpy\.(\w+)'>", r"jnp.\1", signature)
    return signature, returns


def _skip_fields(app, what, name, obj, skip, options):
    """Skip fields as members ("Alias for field number 0"): their class documents them."""
    return True if type(obj).__name__ == "_tuplegetter" or name == "dtype" else None
