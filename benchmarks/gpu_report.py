"""The table of all that was measured on a GPU."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.contestants import TITLES
from gcn_jax.analysis.sheets import Sheet

_SCORES = ("val/miou", "train/images_per_second", "train/loss")


def markdown(
    circumstances: Mapping[str, Any],
    cells: Mapping[str, Mapping[str, Any]],
    missing: Sequence[str],
) -> str:
    """Return the report as Markdown.

    Args:
        circumstances: Device, versions and date, as `machine.describe` has them, and "accelerator".
        cells: Name of a cell -> what its file holds: "result", or "error".
        missing: The names of cells that were not measured yet.
    """
    versions = ", ".join(f"{name} {version}" for name, version in circumstances["versions"].items())
    dates = sorted(cell["date"][:10] for cell in cells.values())
    between = " to ".join(dict.fromkeys(dates[:1] + dates[-1:]))
    lines = [
        f"# {circumstances['accelerator']}\n",
        f"Host: {circumstances['device']}, {circumstances['cores']} cores; {between}; {versions}. "
        "`python -m benchmarks.gpu` says what is measured.\n",
    ]
    results = {name: cell["result"] for name, cell in cells.items() if "result" in cell}
    for title, sheet in (
        ("Networks", _networks(results)),
        ("The longest operations of a step", _operations(results.get("profile"))),
        ("Dense CRF, seconds", _dense_crf(results.get("dense_crf"))),
        ("CamVid at full size", _camvid(results.get("camvid"))),
        ("Failed", _failed(cells)),
    ):
        if sheet.rows:
            lines.append(f"## {title}\n\n{sheet.markdown()}")
    if missing:
        lines.append(f"Not measured yet: {', '.join(missing)}.\n")
    return "\n".join(lines)


def _networks(results: Mapping[str, Any]) -> Sheet:
    """Return a row for each contestant; its shares are of the fastest PyTorch of its case."""
    cases: dict[str, dict[str, Any]] = {}
    for name, result in results.items():
        case, _, contestant = name.rpartition("-")
        if case:
            cases.setdefault(case, {})[contestant] = result
    rows = []
    for case, contestants in cases.items():
        model, dtype, images = case.split("-")
        for contestant, result in contestants.items():
            row = [f"{TITLES[model]}, {dtype}, {images} px, {contestant}"]
            for what in ("step", "forward"):
                others = [
                    other[what]["median"] for n, other in contestants.items() if n != "gcn_jax"
                ]
                median = result[what]["median"]
                row += [f"{1e3 * median:.2f}", f"{median / min(others):.2f}" if others else "-"]
            row += [f"{result['first_step']:.0f}", f"{result['peak_bytes'] / 2**30:.2f}"]
            rows.append(row)
    heads = (
        "case",
        "step ms",
        "of PyTorch",
        "forward ms",
        "of PyTorch",
        "first step s",
        "peak GiB",
    )
    return Sheet("", heads, rows, "of PyTorch: of the fastest of its contestants." if rows else "")


def _operations(profile: Mapping[str, Any] | None) -> Sheet:
    rows = [
        (name, operation["part"], f"{1e3 * operation['seconds']:.3f}")
        for name, operation in (profile or {}).get("operations", {}).items()
    ]
    note = f"{profile['case']}: {1e3 * profile['step_seconds']:.1f} ms a step." if profile else ""
    return Sheet("", ("operation", "part", "ms"), rows, note)


def _dense_crf(result: Mapping[str, Any] | None) -> Sheet:
    rows = []
    for one in (result or {}).get("single", ()):
        times = (one["ours_seconds"], one["cpp_seconds"], one["median_ratio"])
        rows.append((f"one image, {one['preset']}", *(f"{x:.3f}" for x in times)))
    for one in (result or {}).get("set", ()):
        ours = one["ours_seconds_with_compilation"]
        times = (ours, one["cpp_seconds"], one["ratio_with_compilation"])
        what = f"{one['images']} images of {one['sizes']} sizes, with compiling, {one['preset']}"
        rows.append((what, *(f"{x:.3f}" for x in times)))
    return Sheet("", ("what", "gcn_jax", "C++", "of C++"), rows)


def _camvid(result: Mapping[str, Any] | None) -> Sheet:
    rows = [(name, f"{result[name]:.4g}") for name in _SCORES if name in (result or {})]
    return Sheet("", ("what", f"after {(result or {}).get('steps')} steps"), rows)


def _failed(cells: Mapping[str, Mapping[str, Any]]) -> Sheet:
    errors = [(name, cell["error"]) for name, cell in cells.items() if "error" in cell]
    return Sheet("", ("cell", "error"), [(name, text.replace("|", "\\|")) for name, text in errors])
