"""Holdfast: a customer-churn platform that is correct in time."""

__version__ = "0.1.0"
