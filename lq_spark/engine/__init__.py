"""The few verbs that move batches between Spark and NumPy. Knows batches, does not know labels."""
