"""What a cluster's node runs before Spark starts, and what it installs: wheels, brought along."""
