"""The demo: the whole pipeline, for real, on one machine; ``make demo``."""
