"""Protocols: how published scores were measured, by name.

A protocol is the whole way from an image to its class map. Its code was read where the source says;
what this library does otherwise is in docs/zoo.md.
"""

from typing import NamedTuple

from gcn_jax.errors import check_choice
from gcn_jax.inference.crf import PRESETS
from gcn_jax.inference.settings import Inference


class Protocol(NamedTuple):
    """The way in which a score was measured.

    Attributes:
        inference: From an image to its class map.
        source: Where that is published.
    """

    inference: Inference
    source: str


#: PSPNet's scales for its scores marked ms.
_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
#: Images as they are, by themselves, as Caffe and PyTorch see a batch of one.
_AS_IT_IS = Inference(pad_to=1)
_DEEPLAB_V2_CRF = PRESETS["deeplab_v2_resnet101"]
_SEMSEG = "hszhao/semseg, tool/test.py and config/"


def _pspnet(window: int, longer_side: int, scales: tuple[float, ...] = (1.0,)) -> Protocol:
    """Slide windows with a stride of two thirds, rounded up; mirrored, at one scale too."""
    stride = -(-2 * window // 3)
    how = Inference(scales, flip=True, window=window, stride=stride, longer_side=longer_side)
    return Protocol(how, _SEMSEG)


def _upernet(window: int, longer_side: int) -> Protocol:
    """Slide windows with a stride of two thirds, rounded down, over images of their height."""
    how = Inference(
        window=window, stride=2 * window // 3, longer_side=longer_side, shorter_side=window
    )
    return Protocol(
        how, "open-mmlab/mmsegmentation, configs/convnext and _base_/datasets/ade20k.py"
    )


def _segformer(shorter_side: int) -> Protocol:
    """See whole images, of sides that 32 divides."""
    how = Inference(pad_to=1, longer_side=2048, shorter_side=shorter_side, side_multiple=32)
    return Protocol(how, "NVlabs/SegFormer, local_configs/_base_/datasets/ade20k_repeat.py")


PROTOCOLS: dict[str, Protocol] = {
    "fcn_voc": Protocol(
        _AS_IT_IS,
        "shelhamer/fcn.berkeleyvision.org, README; wkentaro/pytorch-fcn, examples/voc/evaluate.py",
    ),
    "deeplab_v1_voc": Protocol(
        Inference(pad_to=513),
        "TheLegendAli/DeepLab-Context, voc12/config/vgg128_noup/test.prototxt and "
        "src/caffe/data_transformer.cpp",
    ),
    "deeplab_v1_voc_crf": Protocol(
        Inference(pad_to=513, crf=PRESETS["deeplab_v1"]),
        "the same, with the CRF that test.prototxt has in a comment",
    ),
    "deeplab_v2_voc": Protocol(
        Inference(pad_to=513),
        "ferasha/deeplab-public-ver2 (a copy of the authors'), src/caffe/data_transformer.cpp; the "
        "size is in kazuto1011/deeplab-pytorch, configs/voc12.yaml",
    ),
    "deeplab_v2_voc_crf": Protocol(
        Inference(pad_to=513, crf=_DEEPLAB_V2_CRF),
        "the same, with the CRF in kazuto1011/deeplab-pytorch, configs/voc12.yaml",
    ),
    "deeplab_v2_voc_pytorch": Protocol(_AS_IT_IS, "kazuto1011/deeplab-pytorch, main.py test"),
    "deeplab_v2_voc_pytorch_crf": Protocol(
        Inference(pad_to=1, crf=_DEEPLAB_V2_CRF),
        "kazuto1011/deeplab-pytorch, main.py crf and configs/voc12.yaml",
    ),
    "pspnet_voc": _pspnet(473, 512),
    "pspnet_voc_ms": _pspnet(473, 512, _SCALES),
    "pspnet_ade20k": _pspnet(473, 512),
    "pspnet_ade20k_ms": _pspnet(473, 512, _SCALES),
    "pspnet_cityscapes": _pspnet(713, 2048),
    "pspnet_cityscapes_ms": _pspnet(713, 2048, _SCALES),
    "torchvision_coco_voc": Protocol(
        Inference(pad_to=1, shorter_side=520), "pytorch/vision, references/segmentation/presets.py"
    ),
    "upernet_ade20k_512": _upernet(512, 2048),
    "upernet_ade20k_640": _upernet(640, 2560),
    "segformer_ade20k_512": _segformer(512),
    "segformer_ade20k_640": _segformer(640),
    "segformer_cityscapes": Protocol(
        Inference(window=1024, stride=768, longer_side=2048),
        "NVlabs/SegFormer, local_configs/segformer/B0/segformer.b0.1024x1024.city.160k.py",
    ),
    "segnet_camvid": Protocol(
        _AS_IT_IS, "alexgkendall/SegNet-Tutorial, Scripts/test_segmentation_camvid.py"
    ),
}


def find_protocol(name: str) -> Inference:
    """Return the way from an image to its class map by the name of a protocol.

    Args:
        name: A key of `PROTOCOLS`.

    Raises:
        UserError: There is none of that name; the message lists them, the nearest first.
    """
    check_choice("protocol", name, PROTOCOLS)
    return PROTOCOLS[name].inference
