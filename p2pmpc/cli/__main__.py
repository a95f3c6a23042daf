"""`python -m p2pmpc.cli`: the command line where the `p2pmpc` script is not installed."""

from __future__ import annotations

import sys

from p2pmpc.cli.entry import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
