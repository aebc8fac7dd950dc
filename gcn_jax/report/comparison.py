"""An HTML page about two evaluations of the same images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax.evaluation.compare import CAPTION, Comparison, Difference
from gcn_jax.evaluation.results import ImageSums
from gcn_jax.hub import is_on_hub
from gcn_jax.report import commands, html
from gcn_jax.report.facts import plain, session_facts
from gcn_jax.sessions import Session
from gcn_jax.training.config import flatten
from gcn_jax.workdir import Workdir

#: Settings of the evaluations that say whose they are, not how they were made.
_IDENTITY = ("checkpoint", "step")


def comparison_report(
    comparison: Comparison,
    runs: Sequence[ImageSums],
    path: str | Path,
    session: Session | None = None,
) -> Path:
    """Write a page about a comparison: the difference of each class, and of the settings.

    Args:
        comparison: What `compare` found.
        runs: The two result files, A and B.
        path: The page to write.
        session: When and where they were compared.

    Returns:
        The path of the page.
    """
    ckpts = [_workdir(run) for run in runs]
    classes = comparison.per_class_iou
    differences = [one.b - one.a for one in classes.values()]
    ends = [end for one in classes.values() for end in (one.low, one.high)]
    largest = np.nanmax(np.abs([0.01, *differences, *ends]))
    a, b = comparison.num_classes_counted
    counted = str(a) if a == b else f"{a} (A) and {b} (B)"
    better = int(comparison.miou.b > comparison.miou.a)
    page = {
        "title": f"{Path(runs[1].path).stem} against {Path(runs[0].path).stem}",
        "subtitle": "Comparison: B against A, IoU of the same images",
        "miou": comparison.miou,
        "counted": f"over {counted} of {len(classes)} classes",
        "verdicts": {
            verdict: sum(one.verdict == verdict for one in classes.values())
            for verdict in ("better", "worse", "within noise")
        },
        "level": comparison.level,
        "caption": CAPTION,
        "runs": [_run(run, ckpt) for run, ckpt in zip(runs, ckpts, strict=True)],
        "rows": [_row(name, one, largest) for name, one in classes.items()],
        "largest": largest,
        "changes": _differing([_settings(*pair) for pair in zip(runs, ckpts, strict=True)]),
        "command": commands.typed(session) if session else "",
        "commands": commands.after_comparison([run.path for run in runs], ckpts, better),
    }
    return html.write(path, "comparison.html.jinja", page)


def _row(name: str, one: Difference, largest: float) -> dict[str, Any]:
    """Return a line of the table; `left` and others are places on the bar's axis, in 0..1."""

    def place(value: float) -> float:
        return float(np.clip(0.5 + value / largest / 2, 0, 1))

    values = one.b - one.a, one.low, one.high
    difference, low, high = (0 if np.isnan(value) else value for value in values)
    return {
        "name": name,
        "score": one,
        "left": min(0.5, place(difference)),
        "right": max(0.5, place(difference)),
        "low": place(low),
        "high": place(high),
    }


def _workdir(run: ImageSums) -> str | None:
    """Return the workdir that a result is of, from any folder; None where the file has none."""
    ckpt, folder = run.settings.get("checkpoint"), run.session.folder if run.session else "."
    if not isinstance(ckpt, str) or is_on_hub(ckpt):
        return ckpt if isinstance(ckpt, str) else None
    return str((Path(folder) / ckpt).resolve())


def _run(run: ImageSums, ckpt: str | None) -> dict[str, str]:
    """Return whose a result is."""
    facts = {"file": run.path}
    if ckpt:
        facts["checkpoint"] = f"{ckpt}, step {plain(run.settings.get('step'))}"
    facts |= {"images": f"{len(run.ids):,} of {plain(run.settings.get('split', '?'))}"}
    return facts | session_facts([run.session] if run.session else [])


def _settings(run: ImageSums, ckpt: str | None) -> dict[str, Any]:
    """Return how a result came about: the settings of the evaluation, and those of the run."""
    evaluation = {name: value for name, value in run.settings.items() if name not in _IDENTITY}
    settings = flatten({"evaluation": evaluation})
    try:
        config = json.loads(Workdir(ckpt).config_file.read_text()) if ckpt else {}
    except (OSError, ValueError):  # the run need not be here any more
        config = {}
    return settings | (flatten(config) if isinstance(config, dict) else {})


def _differing(settings: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return the settings that differ: name, that of A, that of B."""
    a, b = settings
    names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    return [(name, plain(a.get(name, "–")), plain(b.get(name, "–"))) for name in names]
