"""The table of all checks, in the order in which a person would mend what they find."""

from orchard.commands.checks import Check, access, account, airflow, cluster, events, network, storage

HERE: tuple[Check, ...] = airflow.CHECKS  # ask nothing of AWS
THERE: tuple[Check, ...] = (
    *account.CHECKS, *storage.CHECKS, *events.CHECKS, *access.CHECKS, *network.CHECKS, *cluster.CHECKS,
)  # fmt: skip
