"""Artifacts that hold numbers: metrics by name, confusion matrices, ROC curves.

The numbers are kept in the artifact's metadata, in the layout that Kubeflow's pages read.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Union

from .artifacts import Artifact, record_point

if TYPE_CHECKING:  # every step loads this module, few know a datetime: it is 2 ms of a fresh interpreter
    from datetime import datetime

LONGEST_NAME = 250
_FIRST, _LAST = -(1 << 63), (1 << 63) - 1
_END = 253_402_300_799  # the end of the year 9999


class Metrics(Artifact):
    """Numbers by name."""

    schema_title = "system.Metrics"

    def log_metric(
        self, metric: str, value: float, step: Optional[int] = None, timestamp: "Union[float, datetime, None]" = None
    ) -> None:
        """Record one number, or one point of a series.

        Without ``step`` the number is recorded with the artifact. With it the number is a point of the series ``metric``, which
        can be looked at while the step still runs (``kedge runs metrics``); the artifact's metadata holds the last one. JSON
        has no NaN and no infinities: there the metadata says ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``.

        Args:
            metric: Its name, at most 250 characters in a series.
            value: The number; whatever ``float`` takes, in a series.
            step: Where it stands in the series, such as the epoch. A second value for a step takes the place of the first.
            timestamp: When it was so: seconds since 1970 or a datetime; now unless said. For points of a series only.

        Raises:
            TypeError: Of a series, the value is no number or the step is no whole number.
            ValueError: The step does not fit into 64 bits, the name is empty or too long, or there is a timestamp and no step.

        Examples:
            >>> metrics = Metrics()
            >>> metrics.log_metric("accuracy", 0.97)
            >>> for epoch in range(3):
            ...     metrics.log_metric("loss", 1 / (1 + epoch), step=epoch)
            >>> metrics.metadata
            {'accuracy': 0.97, 'loss': 0.3333333333333333}
        """
        if step is None:
            if timestamp is not None:
                raise ValueError(f"log_metric({metric!r}): timestamp= belongs to a point of a series. Give step= too.")
            self.metadata[metric] = _in_json(value)
            return
        number = _number(metric, value)
        when = _microseconds(timestamp)
        record_point(self, _series_name(metric), (_step(metric, step), when, number))
        self.metadata[metric] = _in_json(number)


def _series_name(metric: Any) -> str:
    if isinstance(metric, str) and 0 < len(metric) <= LONGEST_NAME:
        return metric
    raise ValueError(f"log_metric({metric!r:.300}): the name of a series is a text of 1 to {LONGEST_NAME} characters.")


def _number(metric: str, value: Any) -> float:
    if isinstance(value, str):  # float() would read it
        raise TypeError(f"log_metric({metric!r}): the value must be a number, got the text {value!r}.")
    try:
        return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53 else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"log_metric({metric!r}): the value must be a number, got {value!r:.100}: {error}.") from error


def _step(metric: str, step: Any) -> int:
    try:
        found = step.__index__()  # whole numbers of numpy too
    except AttributeError:
        raise TypeError(f"log_metric({metric!r}): step must be a whole number, got {step!r:.100}.") from None
    if isinstance(step, bool) or not _FIRST <= found <= _LAST:
        raise ValueError(f"log_metric({metric!r}): step must be a whole number of 64 bits, got {step!r:.100}.")
    return int(found)


def _microseconds(timestamp: "Union[float, datetime, None]") -> int:
    if timestamp is None:
        timestamp = time.time()  # noqa: TID251  # nobody injects a clock into a step
    moment: Any = timestamp
    seconds = float(moment.timestamp() if hasattr(moment, "timestamp") else moment)
    if not 0 <= seconds < _END:  # of NaN too
        raise ValueError(f"timestamp must be seconds since 1970, or a datetime; got {timestamp!r}. time.time() gives seconds.")
    return int(seconds * 1_000_000)


def _in_json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


class ConfusionMatrix:
    """A confusion matrix that grows row by row or cell by cell, in a dict of Kubeflow's layout.

    Args:
        content: The dict that it is kept in.
    """

    def __init__(self, content: Dict[str, Any]) -> None:
        self.content = content

    def set_categories(self, categories: Sequence[str]) -> None:
        """Begin a matrix of zeros over these classes."""
        self.content["annotationSpecs"] = [{"displayName": category} for category in categories]
        self.content["rows"] = [{"row": [0] * len(categories)} for _ in categories]

    def categories(self) -> List[str]:
        """The classes, in order."""
        if "annotationSpecs" not in self.content:
            raise ValueError("This confusion matrix has no categories yet. Call set_confusion_matrix_categories([...]) first.")
        return [spec["displayName"] for spec in self.content["annotationSpecs"]]

    def set_row(self, category: str, row: Sequence[int]) -> None:
        """Fill the row of one true class."""
        categories = self.categories()
        if len(row) != len(categories):
            raise ValueError(
                f"The row of {category!r} has {len(row)} numbers, but the matrix has {len(categories)} categories: {categories}."
            )
        self.content["rows"][self._index(category, categories)] = {"row": list(row)}

    def set_cell(self, row: str, column: str, value: int) -> None:
        """Fill one cell: true class `row`, predicted class `column`."""
        categories = self.categories()
        self.content["rows"][self._index(row, categories)]["row"][self._index(column, categories)] = value

    def set_matrix(self, categories: Sequence[str], matrix: Sequence[Sequence[int]]) -> None:
        """Fill all of it."""
        self.set_categories(categories)
        if len(matrix) != len(categories):
            raise ValueError(f"The confusion matrix has {len(matrix)} rows, but there are {len(categories)} categories.")
        for category, row in zip(categories, matrix):  # noqa: B905  # Python 3.8
            self.set_row(category, row)

    @staticmethod
    def _index(category: str, categories: List[str]) -> int:
        if category not in categories:
            raise ValueError(f"{category!r} is no category of this confusion matrix. It has {categories}.")
        return categories.index(category)


def roc_points(fpr: Sequence[float], tpr: Sequence[float], threshold: Sequence[float]) -> List[Dict[str, float]]:
    """The points of a ROC curve, as Kubeflow's pages read them.

    Raises:
        ValueError: The three are not of one length.
    """
    if not len(fpr) == len(tpr) == len(threshold):
        raise ValueError(
            f"A ROC curve needs as many fpr ({len(fpr)}) as tpr ({len(tpr)}) as threshold ({len(threshold)}) values."
        )
    return [_roc_point(*point) for point in zip(fpr, tpr, threshold)]  # noqa: B905  # Python 3.8


def _roc_point(fpr: float, tpr: float, threshold: float) -> Dict[str, float]:
    return {"confidenceThreshold": threshold, "recall": tpr, "falsePositiveRate": fpr}


class ClassificationMetrics(Artifact):
    """A confusion matrix and a ROC curve."""

    schema_title = "system.ClassificationMetrics"

    def log_roc_data_point(self, fpr: float, tpr: float, threshold: float) -> None:
        """Add one point to the ROC curve."""
        self.metadata.setdefault("confidenceMetrics", []).append(_roc_point(fpr, tpr, threshold))

    def log_roc_reading(self, threshold: float, tpr: float, fpr: float) -> None:
        """Add one point to the ROC curve, threshold first."""
        self.log_roc_data_point(fpr=fpr, tpr=tpr, threshold=threshold)

    def log_roc_curve(self, fpr: Sequence[float], tpr: Sequence[float], threshold: Sequence[float]) -> None:
        """Record a whole ROC curve."""
        self.metadata["confidenceMetrics"] = roc_points(fpr, tpr, threshold)

    def set_confusion_matrix_categories(self, categories: Sequence[str]) -> None:
        """Begin a confusion matrix of zeros over these classes."""
        self._matrix().set_categories(categories)

    def log_confusion_matrix_row(self, row_category: str, row: Sequence[int]) -> None:
        """Fill the row of one true class; the categories must have been set."""
        self._matrix().set_row(row_category, row)

    def log_confusion_matrix_cell(self, row_category: str, col_category: str, value: int) -> None:
        """Fill one cell (true class, predicted class); the categories must have been set."""
        self._matrix().set_cell(row_category, col_category, value)

    def log_confusion_matrix(self, categories: Sequence[str], matrix: Sequence[Sequence[int]]) -> None:
        """Record a whole confusion matrix: rows are true classes, columns predicted ones.

        Examples:
            >>> metrics = ClassificationMetrics()
            >>> metrics.log_confusion_matrix(["cat", "dog"], [[3, 1], [0, 4]])
            >>> metrics.metadata["confusionMatrix"]["rows"]
            [{'row': [3, 1]}, {'row': [0, 4]}]
        """
        self._matrix().set_matrix(categories, matrix)

    def _matrix(self) -> ConfusionMatrix:
        return ConfusionMatrix(self.metadata.setdefault("confusionMatrix", {}))


class SlicedClassificationMetrics(Artifact):
    """Classification metrics for each slice of the data.

    Examples:
        >>> metrics = SlicedClassificationMetrics()
        >>> metrics.log_roc_reading("young", threshold=0.5, tpr=0.9, fpr=0.1)
        >>> metrics.metadata["evaluationSlices"][0]["slice"]
        'young'
    """

    schema_title = "system.SlicedClassificationMetrics"

    def _slice(self, name: str) -> Dict[str, Any]:
        slices: List[Dict[str, Any]] = self.metadata.setdefault("evaluationSlices", [])
        found: Optional[Dict[str, Any]] = next((entry for entry in slices if entry["slice"] == name), None)
        if found is None:
            found = {"slice": name, "sliceClassificationMetrics": {}}
            slices.append(found)
        return found["sliceClassificationMetrics"]

    def _matrix(self, name: str) -> ConfusionMatrix:
        return ConfusionMatrix(self._slice(name).setdefault("confusionMatrix", {}))

    def log_roc_reading(self, slice: str, threshold: float, tpr: float, fpr: float) -> None:  # noqa: A002  # upstream's name
        """Add one point to the ROC curve of a slice."""
        self._slice(slice).setdefault("confidenceMetrics", []).append(_roc_point(fpr, tpr, threshold))

    def load_roc_readings(self, slice: str, readings: Sequence[Sequence[float]]) -> None:  # noqa: A002  # upstream's name
        """Record the ROC curve of a slice from (threshold, tpr, fpr) triples."""
        self._slice(slice)["confidenceMetrics"] = [_roc_point(fpr, tpr, threshold) for threshold, tpr, fpr in readings]

    def set_confusion_matrix_categories(self, slice: str, categories: Sequence[str]) -> None:  # noqa: A002  # upstream's name
        """Begin the confusion matrix of a slice, of zeros over these classes."""
        self._matrix(slice).set_categories(categories)

    def log_confusion_matrix_row(self, slice: str, row_category: str, row: Sequence[int]) -> None:  # noqa: A002  # upstream's name
        """Fill a row of a slice's matrix; the categories must have been set."""
        self._matrix(slice).set_row(row_category, row)

    def log_confusion_matrix_cell(self, slice: str, row_category: str, col_category: str, value: int) -> None:  # noqa: A002
        """Fill a cell of a slice's matrix; the categories must have been set."""
        self._matrix(slice).set_cell(row_category, col_category, value)

    def load_confusion_matrix(self, slice: str, categories: Sequence[str], matrix: Sequence[Sequence[int]]) -> None:  # noqa: A002
        """Record the whole confusion matrix of a slice."""
        self._matrix(slice).set_matrix(categories, matrix)
