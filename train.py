"""Train a network: `python train.py --config configs/quickstart.py` (`gcn-jax train`)."""

import sys

from gcn_jax.cli.main import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
