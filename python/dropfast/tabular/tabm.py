"""Layer 7: TabMClassifier and TabMRegressor: many networks in one, which share their kernels."""

from __future__ import annotations

from typing import Any

from dropfast.tabular.targets import TableClassifier, TableRegressor


class TabMClassifier(TableClassifier):
    """An ensemble of `n_members` perceptrons for tables, trained at once, with shared kernels.

    A layer of member m computes s_m * ((r_m * x) @ kernel) + bias_m; each member has a head of its
    own. Losses are averaged over the members, and so are their answers. Gorishniy, Kotelnikov and
    Babenko 2025.

    Parameters that are not listed are those of `TabularMLPClassifier`. NumPy trains it, with
    products of the native module.

    Parameters
    ----------
    n_members
        Number of members. The work grows in proportion.
    embedding
        As `TabularMLPClassifier`; "piecewise_linear" by default.

    Attributes
    ----------
    classes_
        The classes, sorted.
    models_, encoder_
        The networks; what turns tables into their inputs.
    validation_loss_curves_, best_iters_
        Validation losses of each network, and the epochs kept.
    calibration_scores_
        How far answers were off on the rows held out, sorted: what `predict_set` and
        `predict_interval` go by.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.tabular import TabMClassifier
    >>> x = np.random.default_rng(0).normal(size=(300, 3))
    >>> y = np.where(x[:, 0] * x[:, 1] > 0, "same", "other")
    >>> model = TabMClassifier(32, n_members=4, max_iter=60, random_state=0).fit(x, y)
    >>> model.score(x, y) > 0.8
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (128, 128),
        activation: str = "relu",
        *,
        n_members: int = 8,
        embedding: str | None = "piecewise_linear",
        scaling_layer: bool = False,
        parametric_activation: bool = False,
        dropout: float = 0.1,
        dropout_schedule: str = "constant",
        label_smoothing: float = 0.0,
        learning_rate_init: float = 0.003,
        learning_rate_schedule: str = "cosine",
        learning_rate_factors: dict[str, float] | None = None,
        weight_decay: float = 0.01,
        weight_decay_schedule: str = "constant",
        batch_size: int | str = "auto",
        max_iter: int = 60,
        n_iter_no_change: int | None = 16,
        validation_fraction: float = 0.15,
        calibration_fraction: float = 0.0,
        bagging: bool = False,
        n_models: int = 1,
        periodic: int = 0,
        categorical_features: Any = "from_dtype",
        max_categories: int = 100,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self._keep(locals())

    def _of_parts(self) -> bool:
        return True


class TabMRegressor(TableRegressor):
    """An ensemble of `n_members` perceptrons for tables, trained at once, with shared kernels.

    Parameters and attributes are those of `TabMClassifier`, without classes; targets are
    standardised, and predictions don't leave the range of the targets of `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.tabular import TabMRegressor
    >>> x = np.random.default_rng(0).normal(size=(400, 3))
    >>> y = x[:, 0] * np.abs(x[:, 1])
    >>> model = TabMRegressor(32, n_members=4, max_iter=60, random_state=0).fit(x, y)
    >>> model.score(x, y) > 0.7
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (128, 128),
        activation: str = "relu",
        *,
        n_members: int = 8,
        embedding: str | None = "piecewise_linear",
        scaling_layer: bool = False,
        parametric_activation: bool = False,
        dropout: float = 0.1,
        dropout_schedule: str = "constant",
        learning_rate_init: float = 0.003,
        learning_rate_schedule: str = "cosine",
        learning_rate_factors: dict[str, float] | None = None,
        weight_decay: float = 0.01,
        weight_decay_schedule: str = "constant",
        batch_size: int | str = "auto",
        max_iter: int = 60,
        n_iter_no_change: int | None = 16,
        validation_fraction: float = 0.15,
        calibration_fraction: float = 0.0,
        bagging: bool = False,
        n_models: int = 1,
        periodic: int = 0,
        categorical_features: Any = "from_dtype",
        max_categories: int = 100,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self._keep(locals())

    def _of_parts(self) -> bool:
        return True
