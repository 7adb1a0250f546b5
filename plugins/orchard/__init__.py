"""Orchard's control plane: it decides, rents, waits, checks and reports; it computes nothing."""

__version__ = "0.1.0"
