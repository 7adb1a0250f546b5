"""Peers: step 1 as users of Ray Data and of Daft would do it, in an environment of their own (`.venv-peers`)."""
