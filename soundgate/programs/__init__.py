"""What the engine itself runs as a task, or does around one."""
