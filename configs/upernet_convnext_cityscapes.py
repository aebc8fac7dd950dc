"""UPerNet with ConvNeXt-T on Cityscapes: 2,975 images, 19 classes.

    python train.py --config configs/upernet_convnext_cityscapes.py
    python evaluate.py --ckpt runs/upernet_convnext_cityscapes --window 1024 --overlap 0.25

It starts from torchvision's ImageNet weights, which it downloads from PyTorch's server; without a
network name a file, `--config.backbone_weights=convnext_tiny.pth`. Its data set is prepared once,
of the archives that docs/data.md names:

    gcn-jax data prepare cityscapes --manual_dir ~/Downloads

Nobody published a recipe for it: neither ConvNeXt's authors nor OpenMMLab. Optimiser, rates, decay
and stochastic depth are those of `upernet_convnext_ade20k.py`; the batches of 8 crops of 1024 those
of `segformer_cityscapes.py`, whose notes hold here, too. Hardware, time and score: not run to its
end; score unknown.
"""

from gcn_jax.configs.common import adamw_160k


def get_config():
    """Return the settings."""
    config = adamw_160k("upernet_convnext_tiny", "cityscapes")
    config.model.stochastic_depth = 0.4
    config.optimizer.learning_rate = 1e-4
    config.optimizer.weight_decay = 0.05
    config.optimizer.layer_decay = 0.9
    return config
