"""Remake the results in docs/studies.md: `python docs/studies_page.py`, beside the folder `runs/`.

A result stands between two comments,

    <!-- runs/analysis/shapes/table1.md: gcn-jax analysis table 1 --seeds 3 -->
    <!-- end -->

Each command runs: what it finds trained it reads, the rest it trains, which may take hours. What
it wrote to the file is put there, below the command. The sheets and pictures beside the file,
`table1*`, are copied to docs/studies/, into a folder named as the file's.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

_PAGE = Path(__file__).with_name("studies.md")
_RESULT = re.compile(r"^<!-- (\S+\.md): (gcn-jax [^\n]+) -->$.*?^<!-- end -->$", re.S | re.M)
_COPIED = (".csv", ".svg", ".png")


def main(page: Path = _PAGE) -> None:
    """Run the commands of a page, and write it and its folder `studies/` anew.

    Args:
        page: The page.
    """
    for _, command in _RESULT.findall(page.read_text()):
        subprocess.run([sys.executable, "-m", "gcn_jax", *shlex.split(command)[1:]], check=True)
    text = page.read_text()  # anew: hours may have passed
    page.write_text(_RESULT.sub(_result, text))
    for path, _ in _RESULT.findall(text):
        _copy_beside(Path(path), page.with_suffix(""))


def _result(found: re.Match[str]) -> str:
    path, command = found.groups()
    text = re.sub(r"^#+ (.+)$", r"**\1**", Path(path).read_text().strip(), flags=re.M)
    return f"<!-- {path}: {command} -->\n\n    {command}\n\n{text}\n\n<!-- end -->"


def _copy_beside(path: Path, studies: Path) -> None:
    target = studies / path.parent.name
    target.mkdir(parents=True, exist_ok=True)
    for file in path.parent.glob(f"{path.stem}*"):
        if file.suffix in _COPIED:
            shutil.copy(file, target)


if __name__ == "__main__":
    main()
