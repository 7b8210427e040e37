"""Layer 6: callbacks; names, arguments and defaults are Keras 3's."""

from __future__ import annotations

from dropfast.callbacks.backup import BackupAndRestore
from dropfast.callbacks.base import Callback, CallbackList
from dropfast.callbacks.checkpoint import ModelCheckpoint
from dropfast.callbacks.csv_logger import CSVLogger
from dropfast.callbacks.history import History
from dropfast.callbacks.lambda_callback import LambdaCallback
from dropfast.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from dropfast.callbacks.stopping import EarlyStopping, TerminateOnNaN
from dropfast.callbacks.swap_ema import SwapEMAWeights
from dropfast.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
