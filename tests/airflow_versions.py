"""What the tests take of Airflow's inner parts, wherever the version at hand keeps them: 3.1 and 3.3."""

from typing import Any

from airflow import plugins_manager

try:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # 3.1
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef]
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization  # type: ignore[no-redef]

__all__ = ["DagBag", "DagSerialization", "filled_in", "of_plugins"]


def of_plugins() -> tuple[dict[str, str], list[Any], list[Any]]:
    """Load the plugins; return the errors of their files, their pages and their links."""
    plugins_manager.ensure_plugins_loaded()
    if hasattr(plugins_manager, "get_fastapi_plugins"):
        pages, _ = plugins_manager.get_fastapi_plugins()
        return plugins_manager.get_import_errors(), pages, plugins_manager.get_operator_extra_links()
    plugins_manager.initialize_fastapi_plugins()
    plugins_manager.initialize_extra_operators_links_plugins()
    return plugins_manager.import_errors, plugins_manager.fastapi_apps, plugins_manager.operator_extra_links


def filled_in(params: Any, fields: dict[str, Any]) -> Any:
    """Fill in fields of a form as the server does, before it validates them."""
    if hasattr(params, "deep_merge"):
        return params.deep_merge(fields)
    params.update(fields)
    return params
