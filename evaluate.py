"""Score a trained model: `python evaluate.py --ckpt runs/quickstart` (`gcn-jax evaluate`)."""

import sys

from gcn_jax.cli.main import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
