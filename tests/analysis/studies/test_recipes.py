"""Settings of the studies, and changes of them."""

import pytest

from gcn_jax.analysis.studies import recipes
from gcn_jax.errors import UserError
from gcn_jax.training import default_config


def test_settings_are_set_by_name():
    config = recipes.set_values(
        default_config(),
        ["optimizer.momentum=0.5", "augment.crop_size=(64, 32)", "model.head=conv"],
    )
    assert config.optimizer.momentum == 0.5
    assert config.augment.crop_size == (64, 32)
    assert config.model.head == "conv"
    for wrong in ("optimizer.momentun=0.5", "num_steps", "num_steps=many", "nothing.at=1"):
        with pytest.raises(UserError, match=f"--set {wrong}: "):
            recipes.set_values(default_config(), [wrong])
