"""The compiled library: finds, loads and describes it, and defines the structures of its calls. No torch."""
