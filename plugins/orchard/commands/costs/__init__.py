"""Costs: what a lake's past would have cost on other machines, and what its days will cost when it has grown.

Nothing here has a formula of its own for nodes, minutes or dollars: those are `orchard.cluster.sizing`'s.
"""
