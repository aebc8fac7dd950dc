"""Segment images: `python predict.py --ckpt runs/quickstart photo.jpg` (`gcn-jax predict`)."""

import sys

from gcn_jax.cli.main import main

if __name__ == "__main__":
    main(["predict", *sys.argv[1:]])
