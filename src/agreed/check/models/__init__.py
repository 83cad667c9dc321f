"""The objects that a history can be about, each as a sequential machine (`model.py`)."""
