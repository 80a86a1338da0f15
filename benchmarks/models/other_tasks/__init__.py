"""Tasks that are not classification, each with a network that was trained for it: real data, one file a task."""
