"""The commands of the command line: ``run``, ``look``, ``review`` and ``doctor``.

Every command is a function from its parsed arguments to an exit code, next to the function that
declares those arguments; ``soundgate.cli`` holds the table of commands.
"""
