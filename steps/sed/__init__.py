"""Steps of sound event detection."""
