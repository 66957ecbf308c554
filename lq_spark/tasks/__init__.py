"""DataFrame in, DataFrame out: the recipes that join core and engine, a module a capability."""
