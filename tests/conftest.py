"""What all tests share."""

import os

# scikit-learn skips its array API checks without it, and scipy reads it once,
# when it is first imported.
os.environ["SCIPY_ARRAY_API"] = "1"
