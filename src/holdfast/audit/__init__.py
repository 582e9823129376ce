"""Leakage: proves what snapshots and features claim."""
