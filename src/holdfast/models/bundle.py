"""A bundle: one folder with all that scoring needs of a trained model, checked byte by byte when read.

::

    model.json | model.txt   the library's own format, never pickle
    encoder.json             features to matrix
    calibrator.json          margin to probability
    schema.json              the features, in order
    reference.json           typical values, ranges, and whatever training adds for monitoring
    metrics.json             what was measured before it was kept
    golden.json              made-up rows and the answers to them, checked wherever the bundle is loaded
    card.md, card.html       the model card, without the version and the gate's verdict, which come later
    manifest.json            where it came from, and the sha256 of every file above

The manifest's own sha256 is the bundle's. There is no wall clock in it: equal training gives equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import naive
from holdfast.errors import StoreError
from holdfast.evaluation.arrays import FloatArray, IntArray
from holdfast.models.calibrate import Calibrator, calibrator_from_json
from holdfast.models.encode import Encoder
from holdfast.models.estimator import FittedModel, Matrix
from holdfast.models.explain import DEFAULT_TOP, Direction, Reason, Value, explained, reasons
from holdfast.models.folder import MANIFEST, read_folder, write_folder
from holdfast.models.golden import check_golden, golden_sample
from holdfast.models.prior import month_of
from holdfast.models.registry import load_fitted

FORMAT = "holdfast-bundle-3"
ENCODER, CALIBRATOR, SCHEMA = "encoder.json", "calibrator.json", "schema.json"
REFERENCE, METRICS, GOLDEN = "reference.json", "metrics.json", "golden.json"
CARD_MD, CARD_HTML = "card.md", "card.html"


@dataclass(frozen=True)
class Provenance:
    """Where a model came from.

    Attributes
    ----------
    dataset_id, config_hash, code_version : of the training run
    estimator : its name and ``params``
    seed : the seed it was fitted with
    libraries : versions by name, for example of xgboost
    extra : anything else that is JSON and no clock
    """

    dataset_id: str
    config_hash: str
    code_version: str
    estimator: str
    seed: int
    params: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A trained model with everything around it.

    Attributes
    ----------
    encoder, model, calibrator : what turns rows into probabilities
    reference : JSON; ``reference["typicals"]`` is used by :meth:`explain` (see `reference.reference_of`)
    metrics : JSON
    provenance : where it came from
    written_golden : the golden sample as it was written; by default it is made
    card : the model card's text by file name, `CARD_MD` and `CARD_HTML`; for people, so nothing here reads it
    """

    encoder: Encoder
    model: FittedModel
    calibrator: Calibrator
    reference: Mapping[str, Any]
    metrics: Mapping[str, Any]
    provenance: Provenance
    written_golden: Mapping[str, Any] | None = None
    card: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> FeatureSchema:
        return self.encoder.schema

    @property
    def typicals(self) -> Mapping[str, Value]:
        found: Mapping[str, Value] = self.reference.get("typicals", {})
        return found

    def margin(self, table: pa.Table) -> FloatArray:
        """Log-odds of the raw model, (n,). DataError if a feature column is missing or of another kind."""
        return self.model.margin(self.encoder.transform(table))

    def predict(self, table: pa.Table) -> FloatArray:
        """Calibrated probabilities of churn, (n,), strictly between 0 and 1.

        With a column ``cutoff`` they are those of its month; without, of an average month.
        """
        return self._probability(self.margin(table), table)

    def predict_encoded(self, x: Matrix, cutoff: datetime) -> FloatArray:
        """What :meth:`predict` says of rows that the encoder has encoded, all of one cutoff, (n,)."""
        return self.calibrator.probability(self.model.margin(x), _months(cutoff, len(x)))

    def explain_encoded(self, x: Matrix, cutoff: datetime) -> tuple[FloatArray, FloatArray, float]:
        """Of such rows: probabilities, (n,), contributions, (n, n_features), and the base that these start from."""
        margin = self.model.margin(x)
        parts = explained(self.model, x, margin)
        probability = self.calibrator.probability(margin, _months(cutoff, len(x)))
        return probability, self.encoder.collapse(parts[:, :-1]), float(parts[0, -1])

    def _probability(self, margin: FloatArray, table: pa.Table) -> FloatArray:
        known = "cutoff" in table.column_names
        month = month_of(table.column("cutoff").to_numpy().astype("datetime64[us]")) if known else None
        return self.calibrator.probability(margin, month)

    def contributions(self, table: pa.Table) -> tuple[FloatArray, float]:
        """Exact contributions by feature, (n, n_features) log-odds, and the base they start from."""
        parts = explained(self.model, self.encoder.transform(table))
        base = float(parts[0, -1]) if len(parts) else float("nan")
        return self.encoder.collapse(parts[:, :-1]), base

    def scored(self, table: pa.Table) -> tuple[FloatArray, FloatArray]:
        """What :meth:`predict` says, (n,), and the contributions to its margins, (n, n_features), in one pass."""
        x = self.encoder.transform(table)
        margin = self.model.margin(x)
        parts = explained(self.model, x, margin)
        return self._probability(margin, table), self.encoder.collapse(parts[:, :-1])

    def explain(self, table: pa.Table, top: int = DEFAULT_TOP, direction: Direction = "raises") -> list[list[Reason]]:
        """Up to ``top`` reasons of each row, strongest first."""
        parts, _ = self.contributions(table)
        return reasons(parts, self.schema, table, self.typicals, top, direction)

    @cached_property
    def golden(self) -> Mapping[str, Any]:
        """The golden sample (see `holdfast.models.golden`)."""
        if self.written_golden is not None:
            return self.written_golden
        return golden_sample(self.reference, self.schema, self.predict)

    @cached_property
    def _files(self) -> dict[str, bytes]:
        files = {
            self.model.filename: self.model.dump(),
            ENCODER: _json(self.encoder.to_json()),
            CALIBRATOR: _json(self.calibrator.to_json()),
            SCHEMA: _json(self.schema.to_json()),
            REFERENCE: _json(self.reference),
            METRICS: _json(self.metrics),
            GOLDEN: _json(self.golden),
            **{name: text.encode() for name, text in self.card.items()},
        }
        files[MANIFEST] = _json(
            {
                "format": FORMAT,
                **vars(self.provenance),
                "model": self.model.name,
                "model_file": self.model.filename,
                "schema_sha256": self.schema.sha256,
                "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
            }
        )
        return files

    @property
    def manifest(self) -> dict[str, Any]:
        """The content of ``manifest.json``."""
        body: dict[str, Any] = json.loads(self._files[MANIFEST])
        return body

    @cached_property
    def sha256(self) -> str:
        """The bundle's identity: the sha256 of its manifest."""
        return hashlib.sha256(self._files[MANIFEST]).hexdigest()

    def save(self, folder: Path) -> str:
        """Write the folder, complete or not at all, and return the bundle's sha256.

        Writing the same bundle to the same place again changes nothing.

        Raises
        ------
        StoreError
            Another bundle, or anything else, is there already; the disk refuses; or metrics, reference or
            provenance hold what JSON cannot.
        """
        write_folder(Path(folder), self._files)
        return self.sha256

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read and verify a bundle.

        Raises
        ------
        NotFoundError
            There is no such folder or it has no manifest.
        StoreError
            A file is changed, missing or extra (by name), of a format not known here, or the golden sample is
            answered otherwise here.
        """
        return cls._of(read_folder(Path(folder), FORMAT), str(folder))

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to other processes as its files, read and checked there as from disk."""
        return Bundle._of, (self._files, "the bundle")

    @classmethod
    def _of(cls, files: Mapping[str, bytes], where: str) -> Self:
        manifest = _read(files, MANIFEST)
        encoder = Encoder.from_json(_read(files, ENCODER))
        try:
            model = load_fitted(manifest["model"], files[manifest["model_file"]])
            provenance = Provenance(**{key: manifest[key] for key in Provenance.__dataclass_fields__})
        except KeyError as error:
            raise StoreError(f"{where}/{MANIFEST} lacks {error}", fix="Train the model again") from error
        try:
            card = {name: files[name].decode() for name in (CARD_MD, CARD_HTML) if name in files}
        except UnicodeDecodeError as error:
            raise StoreError(f"the card in {where} is not UTF-8: {error}", fix="Train the model again") from error
        bundle = cls(
            encoder,
            model,
            calibrator_from_json(_read(files, CALIBRATOR)),
            _read(files, REFERENCE),
            _read(files, METRICS),
            provenance,
            _read(files, GOLDEN),
            card,
        )
        # what is written again from here must be what was read
        if bundle._files[MANIFEST] != files[MANIFEST]:
            raise StoreError(f"{where}/{MANIFEST} was not written by this version of holdfast")
        check_golden(bundle.golden, bundle.schema, bundle.predict, where=where)
        return bundle


def _months(cutoff: datetime, n: int) -> IntArray:
    return np.full(n, _month(cutoff), dtype=np.int64)


@lru_cache(maxsize=16)  # a server asks for one again and again
def _month(cutoff: datetime) -> int:
    return int(month_of(np.array([naive(cutoff)], dtype="datetime64[us]"))[0])


def _json(body: Any) -> bytes:
    try:
        text = json.dumps(body, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise StoreError(f"this bundle holds what JSON cannot: {error}") from error
    return (text + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _read(files: Mapping[str, bytes], name: str) -> Any:
    try:
        return json.loads(files[name])
    except (KeyError, ValueError) as error:
        raise StoreError(f"{name} in the bundle cannot be read", fix="Train the model again") from error
