"""Layer 7: ``python -m dropfast``."""

import sys

from dropfast.cli import main

if __name__ == "__main__":
    sys.exit(main())
