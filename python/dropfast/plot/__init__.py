"""Layer 6: pictures of training, of what units learn and of how sure a model is (extra ``plot``).

Every function takes arrays or histories, draws into the axes it is given or into new ones, and
returns the axes: ``axes.figure.savefig("picture.png")`` writes them. Matplotlib is imported by the
first call, never by ``import dropfast``.
"""

from __future__ import annotations

from dropfast.plot.training import compare, history
from dropfast.plot.uncertainty import reliability_diagram, uncertainty_band
from dropfast.plot.units import activation_histograms, filters

__all__ = [
    "activation_histograms",
    "compare",
    "filters",
    "history",
    "reliability_diagram",
    "uncertainty_band",
]
