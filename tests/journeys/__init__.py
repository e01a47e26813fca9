"""What people and programs do from end to end, on a portal started with `make up`."""
