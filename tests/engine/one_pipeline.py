"""A pipeline of two tasks, for the tests of commands."""

from __future__ import annotations

ONE = 'a = t.add(work, name="a", text=p.text)\nt.add(work, name="b", source=a["out"])'

PARAMETERS = '''
text: str = "x"
"""What is
written."""
epochs: int = 1
config: ConfigFile = ConfigFile("user.yaml", must_exist=False)
'''
