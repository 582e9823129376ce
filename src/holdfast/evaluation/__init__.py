"""How good predictions are, in pure NumPy: ranking, calibration, profit, intervals, slices."""
