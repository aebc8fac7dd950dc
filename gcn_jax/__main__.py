"""The command line as a module: `python -m gcn_jax VERB` is `gcn-jax VERB`."""

from gcn_jax.cli.main import main

if __name__ == "__main__":
    main()
