"""Layer 7: ``python -m dropfast``: train, predict and look at models from a shell.

It needs nothing but the package itself. Tables with categories or missing values are for
`dropfast.tabular`.
"""

from dropfast.cli.command import main

__all__ = ["main"]
