"""Layer 7: more than one process or machine, with the bits of one.

`fit` trains a model in several processes that MPI or `run` started; `sweep` tries settings on
joblib, dask or Ray; `predict` and `predict_mc` answer dask arrays and frames block by block. What
an engine is needed for is imported when it is used.
"""

from dropfast.distributed.communication import MPI, Pipes, WorkersError, run
from dropfast.distributed.rows import predict, predict_mc
from dropfast.distributed.sweeping import Trial, sweep
from dropfast.distributed.training import fit
from dropfast.training.blocks import Communicator

__all__ = [
    "MPI",
    "Communicator",
    "Pipes",
    "Trial",
    "WorkersError",
    "fit",
    "predict",
    "predict_mc",
    "run",
    "sweep",
]
