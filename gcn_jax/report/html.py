"""Pages from templates: one file each, light or dark as the reader has it, on a phone too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax import atomic


def write(path: str | Path, template: str, page: Mapping[str, Any]) -> Path:
    """Write a page.

    Args:
        path: The page to write.
        template: The name of a template in `templates/`.
        page: What the template names, `title` and `subtitle` in any case; text is escaped.

    Returns:
        The path of the page.
    """
    import jinja2  # here, so that a picture or a table needs no templates

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "points": _points, "place": _place}
    atomic.write(path, environment.get_template(template).render(page))
    return Path(path)


def _percent(share: float | None) -> str:
    return "–" if share is None or np.isnan(share) else f"{100 * share:.1f}"


def _points(difference: float) -> str:
    """Return a difference of shares in points of a percent, with its sign."""
    return "–" if np.isnan(difference) else f"{100 * difference:+.1f}"


def _place(share: float | None) -> str:
    """Return a length for CSS; 0 for what is not known."""
    return "0%" if share is None or np.isnan(share) else f"{100 * share:.2f}%"
