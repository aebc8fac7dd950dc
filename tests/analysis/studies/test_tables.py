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
    scores = dict.fromkeys(runner.METRICS, 0.5) | {"per_class_iou": {"a": 0.5, "b": None}}
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


def test_the_classes_of_an_miou_stand_beside_it(tmp_path):
    of_seeds = ({"a": 0.5, "b": None, "c": None}, {"a": 0.5, "b": 0.0, "c": None})
    scores = dict.fromkeys(runner.METRICS, 0.5) | {"absent_classes": ["b", "c"]}
    scores["boundary_iou_num_classes_counted"] = 1
    results = tuple(
        {"seed": seed, "per_class_iou": ious} | scores for seed, ious in enumerate(of_seeds)
    )
    findings = [Finding(cell, results, Cost()) for cell in study(1).cells]
    write_table(study(1), findings, tmp_path, seeds=2)
    text = (tmp_path / "table1.md").read_text()
    assert "| GCN | 3 | 70.1 | 50.0 ± 0.0 | - | over 1 to 2 of 3 classes | 0 | 0.00 |" in text
    assert "\nmIoU over 1 to 2 of 3 classes; absent from the truth: b, c\n" in text
    head, *lines = (tmp_path / "table1.csv").read_text().splitlines()
    assert head.endswith(
        ",boundary_iou_num_classes_counted,num_classes_counted,num_classes,parameters,flops"
    )
    assert [line.split(",")[-5:-2] for line in lines[:2]] == [["1", "1", "3"], ["1", "2", "3"]]
    assert "over 1 to 2 of 3 classes" in (tmp_path / "table1.svg").read_text()
