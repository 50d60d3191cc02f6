"""What a test of a model leaves: its report, rows of its clips, a comparison with the champion."""
