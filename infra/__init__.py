"""Infra: Orchard's stack on AWS, and the commands that bring it up to date and take it away."""
