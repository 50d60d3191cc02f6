"""Where pipelines run on AWS: what a build knows, the account's resources, container images."""
