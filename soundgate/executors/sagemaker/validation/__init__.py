"""Holds a definition against botocore's model of the service before it is sent."""
