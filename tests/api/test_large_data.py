"""Data that don't fit into memory: the system itself limits what a process may take."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

# 400 MB of rows on disk, 300 MB of memory for everything: private memory is what counts there.
SCRIPT = """
import resource, sys
import numpy as np
import dropfast as df

df.set_num_threads(1)
resource.setrlimit(resource.RLIMIT_DATA, (300 << 20, 300 << 20))
try:
    np.ones(400 << 20, np.uint8)
except MemoryError:
    pass
else:
    sys.exit("the limit does not hold")
x = np.memmap(sys.argv[1], sys.argv[2], "r").reshape(-1, 1000)
y = np.arange(len(x)) % 2
layers = [df.layers.Rescaling(1 / 255), df.layers.Dropout(0.2), df.layers.Dense(2, "softmax")]
model = df.Sequential(layers, seed=0)
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=1000, epochs=1, verbose=0)
assert model.optimizer.iterations == len(x) // 1000
model.evaluate(x, y)
assert model.predict(x).shape == (len(x), 2)
print(history.history["loss"][0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of private memory are Linux's")
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_fit_from_a_map_larger_than_memory(dtype, tmp_path):
    path = tmp_path / "rows"
    with open(path, "wb") as file:  # sparse: no disk is filled
        file.truncate(400_000_000)
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), dtype],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert np.isfinite(float(ran.stdout))
