"""Displays: pictures of what was learnt, in scikit-learn's convention.

They need matplotlib, which is imported when a display is drawn:
``pip install 'skautoencoder[plot]'``.
"""

from skautoencoder.displays.code_size import CodeSizeDisplay
from skautoencoder.displays.code_space import CodeSpaceDisplay
from skautoencoder.displays.code_walk import CodeWalkDisplay
from skautoencoder.displays.drawn_rows import DrawnRowsDisplay
from skautoencoder.displays.explanation import ExplanationDisplay
from skautoencoder.displays.filled_values import FilledValuesDisplay
from skautoencoder.displays.latent_map import LatentMapDisplay
from skautoencoder.displays.outlier_scores import OutlierScoresDisplay
from skautoencoder.displays.reconstructions import ReconstructionsDisplay
from skautoencoder.displays.sample_grid import SampleGridDisplay
from skautoencoder.displays.series_scores import SeriesScoresDisplay
from skautoencoder.displays.training_curves import TrainingCurvesDisplay

__all__ = [
    "CodeSizeDisplay",
    "CodeSpaceDisplay",
    "CodeWalkDisplay",
    "DrawnRowsDisplay",
    "ExplanationDisplay",
    "FilledValuesDisplay",
    "LatentMapDisplay",
    "OutlierScoresDisplay",
    "ReconstructionsDisplay",
    "SampleGridDisplay",
    "SeriesScoresDisplay",
    "TrainingCurvesDisplay",
]
