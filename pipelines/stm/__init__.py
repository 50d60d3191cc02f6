"""Names by which the STM32 model zoo's CDK project knows pipelines."""
