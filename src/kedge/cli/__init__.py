"""The command line: one file a command, loaded when it is called. Commands speak to the public client only."""
