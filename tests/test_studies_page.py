"""The page of studies is remade from what its commands write; the tables themselves: analysis."""

import json
import shutil
from pathlib import Path

from docs import studies_page

PAGE = """# Studies

Before.

<!-- runs/analysis/shapes/table1.md: gcn-jax analysis table 1 --set "a b=1" -->
an old table
<!-- end -->

Between.

<!-- runs/compare/camvid/compare.md: gcn-jax analysis compare --data camvid -->
<!-- end -->

After.
"""
REMADE = """# Studies

Before.

<!-- runs/analysis/shapes/table1.md: gcn-jax analysis table 1 --set "a b=1" -->

    gcn-jax analysis table 1 --set "a b=1"

**Table 1: of k**

| k |
| --- |
| 15 |

**Claims**

none

<!-- end -->

Between.

<!-- runs/compare/camvid/compare.md: gcn-jax analysis compare --data camvid -->

    gcn-jax analysis compare --data camvid

words

<!-- end -->

After.
"""
SCORES = ("rates.json", "gcn_seed0/gcn_k15.json", "2x_steps/gcn_seed1/gcn_k15.json")


def test_each_result_is_what_its_command_writes_and_what_lies_beside_it_is_copied(
    tmp_path, monkeypatch
):
    commands, trained = [], []

    def run(command, check):
        """Write what a verb would."""
        assert check
        commands.append(command[1:])
        shapes, camvid = Path("runs/analysis/shapes"), Path("runs/compare/camvid")
        for folder in (shapes, camvid):
            folder.mkdir(parents=True, exist_ok=True)
        (shapes / "table1.md").write_text(
            "# Table 1: of k\n\n| k |\n| --- |\n| 15 |\n\n## Claims\n\nnone\n"
        )
        (camvid / "compare.md").write_text("words\n")
        for file in ("table1.svg", "table1_cue.csv", "table2.svg", "table1.lock"):
            (shapes / file).write_text(file)
        for file in SCORES:
            if not (shapes / file).exists():
                trained.append(file)
                (shapes / file).parent.mkdir(parents=True, exist_ok=True)
                (shapes / file).write_text(json.dumps({"miou": 0.5}))
                (shapes / file).with_name("config.json").write_text("{}")

    monkeypatch.setattr(studies_page.subprocess, "run", run)
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "docs/studies.md"
    page.parent.mkdir()
    page.write_text(PAGE)
    for _ in range(2):  # The second time there is something to take away.
        studies_page.main(page)
        assert page.read_text() == REMADE
    copied = [str(path.relative_to(page.parent)) for path in page.parent.rglob("*.*")]
    assert sorted(copied) == [
        "studies.md",
        "studies/analysis/shapes/scores.jsonl",
        "studies/analysis/shapes/table1.svg",
        "studies/analysis/shapes/table1_cue.csv",
    ]
    words = ["-m", "gcn_jax", "analysis"]
    table, compare = (
        [*words, "table", "1", "--set", "a b=1"],
        [*words, "compare", "--data", "camvid"],
    )
    assert commands == [table, compare] * 2
    assert trained == list(SCORES)

    # A clone has what was kept, and no runs: nothing is trained again.
    shutil.rmtree("runs")
    studies_page.main(page)
    assert page.read_text() == REMADE
    assert trained == list(SCORES)
    assert json.loads(Path("runs/analysis/shapes", SCORES[1]).read_text()) == {"miou": 0.5}
