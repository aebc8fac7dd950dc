"""Tables as files."""

from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.studies import runner
from gcn_jax.analysis.studies.findings import Finding
from gcn_jax.analysis.studies.paper import study
from gcn_jax.analysis.studies.tables import write_table


def test_cues_of_a_table_are_written(tmp_path):
    bins = runner.CUE_BINS
    counts = (
        [[4, 0, *[1] * (bins - 2)], [1, 0, *[1] * (bins - 2)]],
        [[6, 0, *[0] * (bins - 2)], [4, 0, *[0] * (bins - 2)]],
    )
    scores = dict.fromkeys(runner.METRICS, 0.5)
    results = tuple({"seed": seed, "cue": cue} | scores for seed, cue in enumerate(counts))
    findings = [Finding(cell, results, Cost()) for cell in study(5).cells]
    write_table(study(5), findings, tmp_path, seeds=2)
    lines = (tmp_path / "table5_cue.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * 3 * bins
    assert lines[0] == "name,seed,from_px,to_px,pixels,accuracy"
    assert lines[1:3] == ["baseline,0,0,8,4,0.25", "baseline,0,8,16,0,"]
    assert lines[bins] == f"baseline,0,{8 * (bins - 1)},inf,1,1.0"
    assert lines[-bins] == "gcn_k15_br,pooled,0,8,10,0.5"
    assert (tmp_path / "table5_cue.svg").read_text().startswith("<?xml")
