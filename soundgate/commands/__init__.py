"""What each command of the command line does: ``run``, ``look`` and ``review``.

Every command is a function from its parsed arguments to an exit code, beside the function that
declares those arguments; ``soundgate.cli`` holds the table of them.
"""
