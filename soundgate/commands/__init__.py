"""The commands of the command line: ``run``, ``look``, ``review``, ``doctor``, and two rooms.

``campaign/`` runs one pipeline many times; ``sound/`` holds those that start no run.

Every command is a function from its parsed arguments to an exit code, next to the function that
declares those arguments; ``soundgate.cli`` holds the table of commands.
"""
