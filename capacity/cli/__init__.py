"""The command line: one file a command group, each loaded when its verb is called."""
