"""Settings that several recipes share."""

from ml_collections import ConfigDict

from gcn_jax.training import default_config
from gcn_jax.training.config import model_settings


def voc_rival(network: str) -> ConfigDict:
    """Return the settings that the rivals on PASCAL VOC 2012 have in common.

    They train on SBD + VOC (10,582 images) and validate on VOC's 1,449 images.

    Args:
        network: The name of the network.
    """
    config = default_config()
    config.data.train = ("sbd:train_noval", "voc_segmentation:train")
    config.data.val = "voc_segmentation:val"
    config.model = model_settings(network)
    config.augment.flip = True

    config.log_every = 100
    config.eval_every = 5_000
    config.checkpoint_every = 1_000
    config.eval_batch_size = 8
    return config
