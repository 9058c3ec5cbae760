"""One source, two builds: what is compiled, how it is done, and which of the two runs.

Imported before anything else of the project, so this file needs next to nothing itself.
"""
