# The whole broker in memory, driven by scripts of send and expect lines.
