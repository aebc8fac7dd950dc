"""Remake the results in docs/studies.md: `python docs/studies_page.py`, in the repository's root.

A result stands between two comments,

    <!-- runs/analysis/shapes/table1.md: gcn-jax analysis table 1 --seeds 3 -->
    <!-- end -->

Each command runs: runs that have scores it reads, the others it trains, which may take hours. What
it wrote to the file is put there, below the command. The sheets and pictures beside the file,
`table1*`, are copied to docs/studies/, into a folder of the same path, here `analysis/shapes/`.

The scores of the runs are kept there, too, a line each in `scores.jsonl`, and first of all put
where the commands look for them: a fresh clone trains nothing. `--keep_scores` does no more than
keep those of runs that have ended so far, of a study that goes on.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

_PAGE = Path(__file__).with_name("studies.md")
_RESULT = re.compile(r"^<!-- (runs/\S+\.md): (gcn-jax [^\n]+) -->$.*?^<!-- end -->$", re.S | re.M)
_COPIED = (".csv", ".svg", ".png")
#: What the commands read in place of training, of a study's folder: trials, and scores of runs.
_SCORES = ("rates.json", "*_seed*/*.json", "*/*_seed*/*.json")
_NOT_SCORES = ("config.json", "model.json", "sessions.json")


def main(page: Path = _PAGE) -> None:
    """Run the commands of a page, and write it and its folder `studies/` anew.

    Args:
        page: The page.
    """
    results = _RESULT.findall(page.read_text())
    paths = [Path(path) for path, _ in results]
    for path in paths:
        _put_back_scores(path.parent, page)
    for _, command in results:
        subprocess.run([sys.executable, "-m", "gcn_jax", *shlex.split(command)[1:]], check=True)
    page.write_text(_RESULT.sub(_result, page.read_text()))  # anew: hours may have passed
    for path in paths:
        for file in path.parent.glob(f"{path.stem}*"):
            if file.suffix in _COPIED:
                shutil.copy(file, _folder_beside(page, path.parent))
    keep_scores(page)


def keep_scores(page: Path = _PAGE) -> None:
    """Write `scores.jsonl` of each study of a page that has scores of runs.

    Args:
        page: The page.
    """
    for folder in {Path(path).parent for path, _ in _RESULT.findall(page.read_text())}:
        files = [path for pattern in _SCORES for path in folder.glob(pattern)]
        lines = [
            json.dumps(
                {"path": str(path.relative_to(folder)), "scores": json.loads(path.read_text())}
            )
            for path in sorted(files)
            if path.name not in _NOT_SCORES
        ]
        if lines:
            kept = _folder_beside(page, folder) / "scores.jsonl"
            kept.write_text("".join(f"{line}\n" for line in lines))


def _put_back_scores(folder: Path, page: Path) -> None:
    kept = _folder_beside(page, folder) / "scores.jsonl"
    for line in kept.read_text().splitlines() if kept.exists() else []:
        record = json.loads(line)
        path = folder / record["path"]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record["scores"], indent=1) + "\n")


def _folder_beside(page: Path, folder: Path) -> Path:
    """Return where a page keeps what it has of a folder of runs; make it."""
    beside = page.with_suffix("") / folder.relative_to("runs")
    beside.mkdir(parents=True, exist_ok=True)
    return beside


def _result(found: re.Match[str]) -> str:
    path, command = found.groups()
    text = re.sub(r"^#+ (.+)$", r"**\1**", Path(path).read_text().strip(), flags=re.M)
    return f"<!-- {path}: {command} -->\n\n    {command}\n\n{text}\n\n<!-- end -->"


if __name__ == "__main__":
    keep_scores() if sys.argv[1:] == ["--keep_scores"] else main()
