"""From a file to numbers: waveforms at one rate and level, and log-mel features of them."""
