"""Stands before the real pip where a command line is run to the letter; see `kedge.launcher.installers`."""
