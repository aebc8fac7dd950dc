"""The systems that are compared, and their budget."""

import pytest

from gcn_jax import models
from gcn_jax.analysis.studies import recipes, systems
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
