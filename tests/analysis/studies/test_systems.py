"""The systems that are compared, and their budget."""

import json

import pytest

from gcn_jax import models
from gcn_jax.analysis.studies import measure, recipes, systems
from gcn_jax.cli.analysis import compare
from gcn_jax.training.config import flatten


@pytest.mark.parametrize("data", recipes.RECIPES)
@pytest.mark.parametrize("size", systems.SIZES)
def test_systems_have_one_budget_and_start_from_nothing(data, size):
    flat = [flatten(systems.system_config(name, data, size).to_dict()) for name in systems.SYSTEMS]
    budgets = [{k: v for k, v in f.items() if not k.startswith("model.")} for f in flat]
    assert all(budget == budgets[0] for budget in budgets)
    assert budgets[0]["backbone_weights"] is None
    for name in systems.SYSTEMS:
        config = systems.system_config(name, data, size)
        model = models.create_model(**config.model, num_classes=21)
        assert not getattr(model, "frozen_batch_norm", False)  # of random weights


def test_a_comparison_on_voc_has_crops_and_no_images_in_memory():
    config = systems.system_config("gcn", "voc", "reduced")
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


def test_equal_time_gives_steps_by_the_speeds(monkeypatch, tmp_path):
    speeds = {"gcn_seed0": 4.0, "fpn_seed0": 6.0, "pspnet_seed0": 1.0}
    monkeypatch.setattr(compare, "training_speed", lambda workdir: speeds[workdir.name])
    configs = {
        name: systems.system_config(name, "shapes", "reduced") for name in ("gcn", "fpn", "pspnet")
    }
    for config in configs.values():
        config.num_steps = 600
    found = compare._for_equal_time(configs, tmp_path)
    assert [config.num_steps for config in found.values()] == [600, 900, 150]
    assert [config.optimizer.warmup_steps for config in found.values()] == [200, 200, 75]
    assert configs["fpn"].num_steps == 600
