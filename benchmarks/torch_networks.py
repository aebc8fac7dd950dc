"""The networks in PyTorch by the names of ours."""

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.torch_gcn import GCN
from benchmarks.torch_layers import Network
from benchmarks.torch_resnet import DeepLabV2, PSPNet
from benchmarks.torch_vgg import DeepLabLargeFOV, FCN8s, SegNet

#: Name of `gcn_jax.models.create_model` -> constructor of its twin, from the number of classes.
TWINS: Mapping[str, Callable[..., Network]] = {
    "gcn_resnet50": partial(GCN, depth=50),
    "gcn_resnet152": partial(GCN, depth=152),
    "fcn8s_vgg16": FCN8s,
    "segnet": SegNet,
    "deeplab_largefov": DeepLabLargeFOV,
    "deeplab_v2_resnet101": partial(DeepLabV2, depth=101),
    "pspnet_resnet101": partial(PSPNet, depth=101),
}
