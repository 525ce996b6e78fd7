"""Many labelled clips: how often a model is right, how sure it is, and which answers another cell changes."""
