"""Types of the arrays and shapes that estimators work with."""

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Range = tuple[float, float]
Array = NDArray[np.floating]
Rows64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
