"""Nearest neighbours: the exact graph that outliers and duplicates are read from."""

from lq_spark.core.neighbors.graph import KnnGraph, knn_graph

__all__ = ["KnnGraph", "knn_graph"]
