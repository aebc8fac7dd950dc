"""The systems that are compared, and their budget."""

import json

import pytest

from gcn_jax import models
from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.studies import measure, recipes
from gcn_jax.analysis.studies.budgets import Curves
from gcn_jax.analysis.studies.comparison import Comparison, Row
from gcn_jax.analysis.studies.findings import Finding
from gcn_jax.analysis.studies.runner import BOUNDARY_COUNTED, METRICS, Job
from gcn_jax.analysis.studies.systems import (
    RIVALS,
    SIZES,
    SYSTEMS,
    EqualTimeRunner,
    SystemRunner,
)
from gcn_jax.training.config import check_config, flatten


@pytest.mark.parametrize("data", recipes.RECIPES)
@pytest.mark.parametrize("size", SIZES)
def test_systems_have_one_budget_and_start_from_nothing(data, size, tmp_path):
    runner = SystemRunner(data, size, tmp_path)
    configs = {name: runner.config(system, 1) for name, system in SYSTEMS.items()}
    own = ("model.", "optimizer.kind", "optimizer.learning_rate")
    for config in configs.values():
        check_config(config)
        assert config.backbone_weights is None
        model = models.create_model(**config.model, num_classes=21)
        assert not getattr(model, "frozen_batch_norm", False)  # of random weights
    budgets = [
        {k: v for k, v in flatten(config.to_dict()).items() if not k.startswith(own)}
        for config in configs.values()
    ]
    assert all(budget == budgets[0] for budget in budgets)
    rates = {(c.optimizer.kind, c.optimizer.learning_rate) for c in configs.values()}
    (rate,) = (rate for kind, rate in rates if kind == "sgd")
    assert rates == {("sgd", rate), ("adamw", rate * 0.01)}
    assert {configs[name].optimizer.kind for name in (*RIVALS, "unet", "fpn")} == {"sgd"}


def test_heads_share_a_backbone_and_its_optimiser(tmp_path):
    runner = SystemRunner("shapes", "reduced", tmp_path)
    for backbone, kind, rate in (
        ("resnet18", "sgd", 0.1),
        ("resnet50", "sgd", 0.1),
        ("convnext_tiny", "adamw", 0.001),
        ("mit_b0", "adamw", 0.001),
    ):
        for head in ("gcn", "baseline", "upernet"):
            config = runner.config(SYSTEMS[f"{head}_{backbone}"], 0, rate=2.0)
            assert config.optimizer.kind == kind
            assert config.optimizer.learning_rate == pytest.approx(2 * rate)
            model = models.create_model(**config.model, num_classes=11)
            assert model.backbone == backbone
            assert getattr(model, "head", "upernet") == head


def test_a_comparison_on_voc_has_crops_and_no_images_in_memory(tmp_path):
    config = SystemRunner("voc", "reduced", tmp_path).config(SYSTEMS["gcn"], 0)
    assert config.augment.crop_size == (224, 224)
    assert not config.data.cache_in_memory  # 10,582 images


def test_the_speed_of_a_run_is_the_median_of_what_it_logged(tmp_path):
    rows = [{"step": 1, "train/images_per_second": 3.0}, {"step": 2, "val/miou": 0.5}]
    rows += [
        {"step": 3, "train/images_per_second": 10.0},
        {"step": 4, "train/images_per_second": 9.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert measure.training_speed(tmp_path) == 9.0


def test_equal_time_gives_steps_by_the_speeds(tmp_path):
    runner = SystemRunner("shapes", "reduced", tmp_path)
    speeds = {"gcn": 4.0, "fpn": 6.0, "pspnet": 1.0}
    timed = EqualTimeRunner(runner, speeds)
    for name, steps, warmup in (("gcn", 600, 200), ("fpn", 900, 200), ("pspnet", 150, 75)):
        config = timed.config(SYSTEMS[name], 0)
        assert (config.num_steps, config.eval_every) == (steps, steps)
        assert config.optimizer.warmup_steps == warmup
        assert runner.config(SYSTEMS[name], 0).num_steps == 600
    assert timed.config(SYSTEMS["fpn"], 0, 4).num_steps == 3600
    job = Job(SYSTEMS["fpn"], 1, 4)
    assert timed.workdir(job) == tmp_path / "shapes_reduced/equal_time/4x_steps/fpn_seed1"


def test_a_comparison_says_who_beats_whom_and_whether_it_is_flat(tmp_path):
    def findings(scores):
        rest = dict.fromkeys(METRICS, 0.5) | {"per_class_iou": {"a": 0.5}, BOUNDARY_COUNTED: 1}
        return [
            Finding(
                SYSTEMS[name],
                tuple(
                    {**rest, "seed": seed, "steps": 9, "miou": miou, "train_miou": 0.75}
                    for seed, miou in enumerate(of_seeds)
                ),
                Cost(),
                rate=0.25,
            )
            for name, of_seeds in scores.items()
        ]

    before = findings({"gcn": [0.5, 0.5, 0.5], "segnet": [0.4, 0.4, 0.4], "unet": [0.6] * 3})
    last = findings(
        {"gcn": [0.5, 0.5, 0.5], "segnet": [0.41, 0.38, 0.42], "unet": [0.599, 0.602, 0.6]}
    )
    rows = [Row(finding, images_per_second=2.0, memory=2**30) for finding in last]
    config = SystemRunner("shapes", "reduced", tmp_path).config(SYSTEMS["gcn"], 0)
    Comparison(rows, config, Curves({5: before, 9: last}, 2.0)).write(tmp_path)
    text = (tmp_path / "compare.md").read_text()
    assert "| gcn over segnet | mIoU | +23.7 | +9.7 | +4.5 to +14.8 | better |" in text
    assert "| gcn over unet | mIoU | - | -10.0 | -10.4 to -9.7 | worse |" in text
    assert "| 75.0 ± 0.0 | over 1 of 1 classes | 0.25 |" in text
    assert "Flat: from 5 to 9 steps no network gains more than 2 points (segnet, +0.3)." in text
    lines = (tmp_path / "compare_claims.csv").read_text().splitlines()
    assert [line.split(",")[4] for line in lines[1:]] == ["23.7", ""]
    assert len((tmp_path / "compare_budgets.csv").read_text().splitlines()) == 1 + 2 * 3 * 3
    assert "unet" in (tmp_path / "compare_budgets.svg").read_text()
