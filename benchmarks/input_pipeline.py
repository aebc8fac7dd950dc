"""Images per second that reach the device: `training_batches` beside a PyTorch DataLoader.

    pip install -e '.[bench]'
    python -m benchmarks.input_pipeline [--photos FOLDER] [--output FILE.json]

Both read the same images of VOC's size (500x375, JPEG of quality 92, and PNG masks), decode them,
scale them by 0.5 to 2, jitter brightness, contrast and saturation, crop and pad to 512x512, flip,
and make batches of 16. Ours reads the ArrayRecord that the data set `folder` prepares, in as many
threads as there are cores, with and without `cache_in_memory`; theirs reads the files with OpenCV
in as many worker processes: resize, then crop, then jitter, as is usual. They take turns; reported
are medians, and of the ratio in each turn. CPU time is that of all threads and processes: other
work on the machine changes it less than images per second. Start-up and filling the queues are not
counted. Without --photos the images are drawn: noise with the 1/f spectrum of photographs, and
shapes with sharp edges.
"""

import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
from absl import flags
from PIL import Image, ImageOps

from benchmarks.drawn_photos import draw_mask, draw_photo
from gcn_jax import atomic, data
from gcn_jax.cli import process
from gcn_jax.data.files import IMAGE_SUFFIXES
from gcn_jax.sessions import cpu_name

try:
    import torch
except ImportError:
    raise SystemExit("error: torch is not installed: pip install -e '.[bench]'") from None

_PHOTOS = flags.DEFINE_string("photos", None, "A folder of photographs to use (by default drawn).")
_OUTPUT = flags.DEFINE_string("output", None, "Where to write the figures, as JSON.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 256, "How many images there are.")
_REPEATS = flags.DEFINE_integer("repeats", 9, "How often each is timed.")
_BATCHES = flags.DEFINE_integer("batches", 40, "How many batches are timed at once.")
_THREADS = flags.DEFINE_integer("threads", None, "Threads of ours (by default one a core).")

_SIZE = (500, 375)  # width, height
_CROP = 512
_SCALE = (0.5, 2.0)
_JITTER = 0.3
_FILL = (124, 116, 104)
_BATCH = 16
_CORES = len(os.sched_getaffinity(0))


def main(argv):
    """Prepare, time in turns, print and write."""
    del argv
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "photos"
        kib = _write_images(root)
        # Its processes are forked before ours starts threads.
        loaders = {"torch": _theirs(root)}
        loaders["gcn_jax"] = _ours(root, cached=False)
        loaders["gcn_jax, cached"] = _ours(root, cached=True)
        for batches in loaders.values():
            _skip(batches, _NUM_IMAGES.value // _BATCH + 8)
        load = os.getloadavg()[0]
        turns = [{n: _time(b) for n, b in loaders.items()} for _ in range(_REPEATS.value)]
    report = _summary(turns) | {
        "jpeg_kib": round(kib, 1),
        "photos": _PHOTOS.value or "drawn",
        "cores": _CORES,
        "threads": _THREADS.value or _CORES,
        "worker_processes": _CORES,
        "batches": _BATCHES.value,
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": cpu_name(),
        "versions": {"python": platform.python_version()}
        | {
            name: importlib.metadata.version(name)
            for name in ("torch", "opencv-python-headless", "grain", "pillow", "numpy")
        },
    }
    if _OUTPUT.value:
        atomic.write(_OUTPUT.value, json.dumps(report, indent=2) + "\n")


def _summary(turns: list[dict[str, tuple[float, float]]]) -> dict:
    """Print a table of the medians, and return them with all repetitions."""
    results = {}
    print(f"{'':16} {'images/s':>9} {'per core':>9} {'CPU ms/image':>13} {'of torch':>9}")
    for name in turns[0]:
        rates, cpu = zip(*(turn[name] for turn in turns), strict=True)
        ratio = statistics.median(turn[name][0] / turn["torch"][0] for turn in turns)
        rate, cpu_ms = statistics.median(rates), statistics.median(cpu)
        results[name] = {
            "images_per_second": rate,
            "images_per_second_per_core": rate / _CORES,
            "cpu_ms_per_image": cpu_ms,
            "of_torch": ratio,
            "repetitions": rates,
        }
        print(f"{name:16} {rate:9.0f} {rate / _CORES:9.0f} {cpu_ms:13.2f} {ratio:9.2f}")
    return {"results": results}


def _write_images(root: Path) -> float:
    """Write images and masks as the data set `folder` reads them; return the mean KiB of a JPEG."""
    for name in ("images/train", "masks/train"):
        (root / name).mkdir(parents=True)
    (root / "classes.txt").write_text("".join(f"class {i}\n" for i in range(21)))
    photos = [None]
    if _PHOTOS.value:
        files = sorted(Path(_PHOTOS.value).iterdir())
        photos = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    for i, photo in zip(range(_NUM_IMAGES.value), itertools.cycle(photos), strict=False):
        rng = np.random.default_rng(i)
        mask = draw_mask(rng, _SIZE)
        if photo is None:
            image = Image.fromarray(draw_photo(rng, mask))
        else:
            image = ImageOps.fit(Image.open(photo).convert("RGB"), _SIZE)
        image.save(root / f"images/train/{i:04d}.jpg", quality=92)
        Image.fromarray(mask).save(root / f"masks/train/{i:04d}.png")
    jpegs = list((root / "images/train").iterdir())
    return sum(path.stat().st_size for path in jpegs) / len(jpegs) / 1024


def _ours(root: Path, cached: bool) -> Iterator:
    options = {
        "manual_dir": str(root),
        "data_dir": str(root.parent / "prepared"),
        "cache_in_memory": cached,
    }
    source = data.open_training_source(("folder:train",), options)
    augment = data.Augment((_CROP, _CROP), scale=_SCALE, jitter=_JITTER, fill=_FILL)
    return data.training_batches(
        source, augment, batch_size=_BATCH, seed=0, num_threads=_THREADS.value or _CORES
    )


def _theirs(root: Path) -> Iterator:
    files = _Files(root)
    loader = torch.utils.data.DataLoader(
        files,
        batch_size=_BATCH,
        sampler=torch.utils.data.RandomSampler(files, num_samples=2**40),  # pass after pass
        num_workers=_CORES,
        drop_last=True,
        worker_init_fn=_start_worker,
    )
    return iter(loader)


def _start_worker(worker: int) -> None:
    cv2.setNumThreads(0)
    torch.utils.data.get_worker_info().dataset.rng = np.random.default_rng(worker)


class _Files(torch.utils.data.Dataset):
    """What a PyTorch user who knows OpenCV would write."""

    def __init__(self, root: Path):
        self._images = sorted(str(path) for path in (root / "images/train").iterdir())
        self._masks = sorted(str(path) for path in (root / "masks/train").iterdir())

    def __len__(self):
        return len(self._images)

    def __getitem__(self, index):
        image = cv2.imread(self._images[index], cv2.IMREAD_COLOR_RGB)
        mask = cv2.imread(self._masks[index], cv2.IMREAD_UNCHANGED)
        image, mask = _resize_and_crop(image, mask, self.rng)
        image = _jitter(image, self.rng)
        if self.rng.random() < 0.5:
            image, mask = cv2.flip(image, 1), cv2.flip(mask, 1)
        return {"image": image, "label": mask}


def _resize_and_crop(image, mask, rng):
    scale = np.exp(rng.uniform(*np.log(_SCALE)))
    width, height = (round(size * scale) for size in _SIZE)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    top = rng.integers(max(0, height - _CROP) + 1)
    left = rng.integers(max(0, width - _CROP) + 1)
    image = image[top : top + _CROP, left : left + _CROP]
    mask = mask[top : top + _CROP, left : left + _CROP]
    missing = (0, _CROP - image.shape[0], 0, _CROP - image.shape[1])
    if any(missing):
        image = cv2.copyMakeBorder(image, *missing, cv2.BORDER_CONSTANT, value=_FILL)
        mask = cv2.copyMakeBorder(mask, *missing, cv2.BORDER_CONSTANT, value=255)
    return image, mask


def _jitter(image, rng):
    brightness, contrast, saturation = rng.uniform(1 - _JITTER, 1 + _JITTER, 3)
    mean = brightness * cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0]
    levels = np.arange(256) * (brightness * contrast) + (1 - contrast) * mean
    image = cv2.LUT(image, np.clip(levels, 0, 255).astype(np.uint8))
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, saturation, grey, 1 - saturation, 0)


def _time(batches: Iterator) -> tuple[float, float]:
    """Return images per second, and CPU time in ms per image of this process and its workers."""
    time.sleep(0.5)  # the others fill their queues
    _skip(batches, 12)  # what this one's queue holds was made before
    cpu, start = _cpu_seconds(), time.perf_counter()
    _skip(batches, _BATCHES.value)
    seconds, cpu = time.perf_counter() - start, _cpu_seconds() - cpu
    images = _BATCHES.value * _BATCH
    return images / seconds, cpu / images * 1000


def _skip(batches: Iterator, count: int) -> None:
    for batch in itertools.islice(batches, count):
        assert tuple(batch["image"].shape) == (_BATCH, _CROP, _CROP, 3)


def _cpu_seconds() -> float:
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children())]
    return sum(one.user + one.system for one in times)


if __name__ == "__main__":
    process.run_script(main)
