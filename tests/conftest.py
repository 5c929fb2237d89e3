"""What all tests share."""

import os

# scikit-learn skips its array API checks without it, and scipy reads it once,
# when it is first imported.
os.environ["SCIPY_ARRAY_API"] = "1"

# Two workers with two threads each on two processors wait for each other most of
# the time. Tests of threads set their own number.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
