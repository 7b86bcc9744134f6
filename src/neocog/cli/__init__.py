"""The command line: every verb of `neocog`. Nothing heavy is imported before the verb that needs it is known."""
