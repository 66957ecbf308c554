"""The mathematics, in NumPy alone: one module a capability. Knows labels, does not know Spark."""
