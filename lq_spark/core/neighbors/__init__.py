"""Nearest neighbours: the exact graph that outliers and duplicates are read from."""

from lq_spark.core.neighbors.graph import KnnGraph, checked_graph, knn_graph

__all__ = ["KnnGraph", "checked_graph", "knn_graph"]
