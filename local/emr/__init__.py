"""Amazon EMR on one's own machine: a server that speaks EMR's protocol and really runs its steps.

``python -m local.emr`` starts it; docs/local-emr.md says which calls it answers, and how far.
"""
