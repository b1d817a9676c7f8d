"""What people see of a run, as plain data: rows of a tree, results, a drawing.

Pure: no terminal, no network. The command line and the notebook put it on a screen. It reads the JSON of the REST API, as any
other client would.
"""
