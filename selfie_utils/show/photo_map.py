"""The photo map: posts chosen for a full grid, placed on it and drawn as one sheet of small tiles."""
