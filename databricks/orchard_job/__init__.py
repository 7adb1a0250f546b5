"""The control plane's part of a run, where a Databricks job is what runs it; see docs/databricks.md."""
