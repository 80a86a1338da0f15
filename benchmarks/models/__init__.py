"""Models and tasks of the benchmarks, each a module with `model()` and `task(shots, seed)` factories."""
