"""The web page: look through a model in the browser. Start it with `python explain.py --ui`."""
