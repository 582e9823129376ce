"""Estimators, encoding, calibration, explanation and the bundle: what training writes and scoring reads."""
