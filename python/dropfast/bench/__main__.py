"""Layer 7: the command line of the benchmarks."""

import sys

from dropfast.bench.command import main

if __name__ == "__main__":
    sys.exit(main())
