"""The estimators that the study of tables compares, each with its defaults, on one thread."""

from __future__ import annotations

from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def _scaled(model):
    """Behind what scikit-learn's own guide puts before a perceptron."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer(
        [
            ("categories", one_hot, make_column_selector(dtype_include=["category", "bool"])),
            ("numbers", numbers, make_column_selector(dtype_include="number")),
        ]
    )
    return make_pipeline(columns, model)


def _sklearn(is_class, seed):
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    return _scaled((MLPClassifier if is_class else MLPRegressor)(random_state=seed))


def _dropfast(is_class, seed):
    from dropfast.sklearn import MLPClassifier, MLPRegressor

    return _scaled((MLPClassifier if is_class else MLPRegressor)(random_state=seed, n_threads=1))


def _tabular(n_models, **more):
    def made(is_class, seed):
        from dropfast.tabular import TabularMLPClassifier, TabularMLPRegressor

        kind = TabularMLPClassifier if is_class else TabularMLPRegressor
        return kind(n_models=n_models, random_state=seed, n_threads=1, **more)

    return made


def _tabm(is_class, seed):
    from dropfast.tabular import TabMClassifier, TabMRegressor

    return (TabMClassifier if is_class else TabMRegressor)(random_state=seed, n_threads=1)


def _boosting(is_class, seed):
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if is_class else HistGradientBoostingRegressor
    return kind(categorical_features="from_dtype", random_state=seed)


def _lightgbm(is_class, seed):
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if is_class else LGBMRegressor)(random_state=seed, n_jobs=1, verbose=-1)


class _CatBoost:
    """Told which columns are categorical, which it does not see by itself."""

    def __init__(self, is_class, seed):
        from catboost import CatBoostClassifier, CatBoostRegressor

        kind = CatBoostClassifier if is_class else CatBoostRegressor
        more = {"allow_writing_files": False, "verbose": False}
        self.model = kind(random_seed=seed, thread_count=1, **more)

    def fit(self, x, y):
        """Train."""
        categories = [c for c in x if str(x[c].dtype) == "category"]
        self.model.fit(x.astype(dict.fromkeys(categories, str)), y, cat_features=categories)

    def score(self, x, y):
        """Accuracy or R squared."""
        categories = [c for c in x if str(x[c].dtype) == "category"]
        return self.model.score(x.astype(dict.fromkeys(categories, str)), y)


def _pytabkit(name):
    def made(is_class, seed):
        import pytabkit

        kind = getattr(pytabkit, f"{name}_{'Classifier' if is_class else 'Regressor'}")
        return kind(device="cpu", random_state=seed, n_threads=1)

    return made


PEERS = {
    "tabular": _tabular(1),
    "tabular4": _tabular(4),
    "tabm": _tabm,
    "mlp": _dropfast,
    "sklearn": _sklearn,
    "boosting": _boosting,
    "lightgbm": _lightgbm,
    "catboost": _CatBoost,
    "realmlp": _pytabkit("RealMLP_TD"),
    "tabm_d": _pytabkit("TabM_D"),
}


def make(peer, is_class, seed):
    """An estimator with its defaults.

    Raises
    ------
    ModuleNotFoundError
        If its library is not installed.
    """
    return PEERS[peer](is_class, seed)
