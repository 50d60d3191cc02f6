"""The same pipeline built with SageMaker's own SDK, v3: an independent writer of definitions.

Every step of a rendered definition is rebuilt with the SDK's classes, references by its property
objects; what the SDK compiles can then be compared with what was rendered. Run as a program it
reads a definition from standard input and prints the SDK's: importing the SDK takes seconds, makes
clients, and warns.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

REGION, ACCOUNT, BUCKET = "eu-west-1", "111122223333", "offline"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sdk"
os.environ.setdefault("AWS_DEFAULT_REGION", REGION)  # importing the SDK makes clients
os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")  # else it asks IAM
os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
PART = re.compile(r"\.?([A-Za-z0-9_]+)|\['([^']*)'\]|\[(\d+)\]")


class Twin:
    """Rebuilds one definition."""

    def __init__(self, definition: dict[str, Any]) -> None:
        self.session = _session()
        self.steps: dict[str, Any] = {}
        self.files: dict[tuple[str, str], Any] = {}
        self.parameters = {each["Name"]: _parameter(each) for each in definition["Parameters"]}
        self.built = [self.step(step) for step in definition["Steps"]]

    def definition(self) -> str:
        """Return what the SDK compiles."""
        from sagemaker.core.workflow.pipeline_definition_config import PipelineDefinitionConfig
        from sagemaker.mlops.workflow.pipeline import Pipeline

        pipeline = Pipeline(
            name="twin",
            parameters=list(self.parameters.values()),
            steps=self.built,
            sagemaker_session=self.session,
            pipeline_definition_config=PipelineDefinitionConfig(use_custom_job_prefix=False),
        )
        return str(pipeline.definition())

    def value(self, value: Any) -> Any:
        """Return a value with the SDK's objects in the place of functions."""
        from sagemaker.core.workflow.functions import Join, JsonGet

        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Get"}:
            return self.reference(value["Get"])
        if set(value) == {"Std:Join"}:
            join = value["Std:Join"]
            return Join(on=join["On"], values=[self.value(part) for part in join["Values"]])
        if set(value) == {"Std:JsonGet"}:
            wanted = value["Std:JsonGet"]
            _, step, _, name = wanted["PropertyFile"]["Get"].split(".", 3)
            file = self.files[step, name]
            return JsonGet(step_name=step, property_file=file, json_path=wanted["Path"])
        return {name: self.value(inner) for name, inner in value.items()}

    def reference(self, path: str) -> Any:
        """Return what ``Get`` names."""
        from sagemaker.core.workflow.execution_variables import ExecutionVariables

        space, _, rest = path.partition(".")
        if space == "Parameters":
            return self.parameters[rest]
        if space == "Execution":
            word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", rest).upper()
            return getattr(ExecutionVariables, word)
        name, _, rest = rest.partition(".")
        found = self.steps[name].properties
        for member, key, index in PART.findall(rest):
            found = getattr(found, member) if member else found[key or int(index)]
        return found

    def step(self, step: dict[str, Any]) -> Any:
        """Rebuild one step; those in branches first, so that they can be named."""
        build = {
            "Processing": self.processing,
            "Training": self.training,
            "Condition": self.condition,
            "Fail": self.fail,
            "RegisterModel": self.register,
        }
        found = self.steps[step["Name"]] = build[step["Type"]](step)
        return found

    def common(self, step: dict[str, Any]) -> dict[str, Any]:
        """What every step may have."""
        found: dict[str, Any] = {"name": step["Name"]}
        if step.get("DependsOn"):
            found["depends_on"] = list(step["DependsOn"])
        if step.get("DisplayName"):
            found["display_name"] = step["DisplayName"]
        return found

    def job(self, step: dict[str, Any]) -> dict[str, Any]:
        """What a step that runs a job may have besides."""
        from sagemaker.mlops.workflow.steps import CacheConfig

        found = self.common(step) | {"retry_policies": _retries(step.get("RetryPolicies", []))}
        if cache := step.get("CacheConfig"):
            found["cache_config"] = CacheConfig(
                enable_caching=cache["Enabled"], expire_after=cache["ExpireAfter"]
            )
        return found

    def processing(self, step: dict[str, Any]) -> Any:
        from sagemaker.core.processing import Processor
        from sagemaker.core.shapes import (
            ProcessingInput,
            ProcessingOutput,
            ProcessingS3Input,
            ProcessingS3Output,
        )
        from sagemaker.core.workflow.properties import PropertyFile
        from sagemaker.mlops.workflow.steps import ProcessingStep

        given = step["Arguments"]
        app, cluster = given["AppSpecification"], given["ProcessingResources"]["ClusterConfig"]
        processor = Processor(
            image_uri=self.value(app["ImageUri"]),
            entrypoint=app["ContainerEntrypoint"],
            role=self.value(given["RoleArn"]),
            instance_count=cluster["InstanceCount"],
            instance_type=self.value(cluster["InstanceType"]),
            volume_size_in_gb=cluster["VolumeSizeInGB"],
            max_runtime_in_seconds=given["StoppingCondition"]["MaxRuntimeInSeconds"],
            env=self.value(given["Environment"]),
            sagemaker_session=self.session,
        )
        inputs = [
            ProcessingInput(
                input_name=each["InputName"],
                s3_input=ProcessingS3Input(
                    s3_uri=self.value(each["S3Input"]["S3Uri"]),
                    local_path=each["S3Input"]["LocalPath"],
                    s3_data_type=each["S3Input"]["S3DataType"],
                    s3_input_mode=each["S3Input"]["S3InputMode"],
                ),
            )
            for each in given["ProcessingInputs"]
        ]
        outputs = [
            ProcessingOutput(
                output_name=each["OutputName"],
                s3_output=ProcessingS3Output(
                    s3_uri=self.value(each["S3Output"]["S3Uri"]),
                    local_path=each["S3Output"]["LocalPath"],
                    s3_upload_mode=each["S3Output"]["S3UploadMode"],
                ),
            )
            for each in given["ProcessingOutputConfig"]["Outputs"]
        ]
        files = [
            PropertyFile(
                name=each["PropertyFileName"],
                output_name=each["OutputName"],
                path=each["FilePath"],
            )
            for each in step.get("PropertyFiles", [])
        ]
        self.files |= {(step["Name"], file.name): file for file in files}
        arguments = processor.run(
            inputs=inputs, outputs=outputs, arguments=self.value(app.get("ContainerArguments", []))
        )
        return ProcessingStep(step_args=arguments, property_files=files, **self.job(step))

    def training(self, step: dict[str, Any]) -> Any:
        from sagemaker.mlops.workflow.steps import TrainingStep
        from sagemaker.train.configs import (
            CheckpointConfig,
            Compute,
            InputData,
            MetricDefinition,
            OutputDataConfig,
            StoppingCondition,
        )
        from sagemaker.train.model_trainer import ModelTrainer

        given = step["Arguments"]
        algorithm, machine = given["AlgorithmSpecification"], given["ResourceConfig"]
        limits, output = given["StoppingCondition"], given["OutputDataConfig"]
        trainer = ModelTrainer(
            training_image=self.value(algorithm["TrainingImage"]),
            training_input_mode=algorithm["TrainingInputMode"],
            base_job_name=step["Name"],
            role=ROLE,  # it takes no parameter here
            sagemaker_session=self.session,
            compute=Compute(
                instance_type=self.value(machine["InstanceType"]),
                instance_count=machine["InstanceCount"],
                volume_size_in_gb=machine["VolumeSizeInGB"],
            ),
            stopping_condition=StoppingCondition(
                max_runtime_in_seconds=limits["MaxRuntimeInSeconds"]
            ),
            output_data_config=OutputDataConfig(
                s3_output_path=self.value(output["S3OutputPath"]),
                compression_type=output["CompressionType"],
            ),
            checkpoint_config=CheckpointConfig(
                s3_uri=self.value(given["CheckpointConfig"]["S3Uri"]),
                local_path=given["CheckpointConfig"]["LocalPath"],
            ),
            hyperparameters=self.value(given["HyperParameters"]),
            environment=self.value(given["Environment"]),
        ).with_metric_definitions(
            [
                MetricDefinition(name=each["Name"], regex=each["Regex"])
                for each in algorithm["MetricDefinitions"]
            ]
        )
        channels = [
            InputData(
                channel_name=each["ChannelName"],
                data_source=self.value(each["DataSource"]["S3DataSource"]["S3Uri"]),
            )
            for each in given["InputDataConfig"]
        ]
        arguments = trainer.train(input_data_config=channels)
        return TrainingStep(step_args=arguments, **self.job(step))

    def condition(self, step: dict[str, Any]) -> Any:
        from sagemaker.core.workflow import conditions
        from sagemaker.mlops.workflow.condition_step import ConditionStep

        given = step["Arguments"]
        kinds = {
            "GreaterThanOrEqualTo": conditions.ConditionGreaterThanOrEqualTo,
            "LessThanOrEqualTo": conditions.ConditionLessThanOrEqualTo,
        }
        return ConditionStep(
            conditions=[
                kinds[each["Type"]](
                    left=self.value(each["LeftValue"]), right=self.value(each["RightValue"])
                )
                for each in given["Conditions"]
            ],
            if_steps=[self.step(each) for each in given["IfSteps"]],
            else_steps=[self.step(each) for each in given["ElseSteps"]],
            **self.common(step),
        )

    def fail(self, step: dict[str, Any]) -> Any:
        from sagemaker.mlops.workflow.fail_step import FailStep

        message = self.value(step["Arguments"]["ErrorMessage"])
        return FailStep(error_message=message, **self.common(step))

    def register(self, step: dict[str, Any]) -> Any:
        from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
        from sagemaker.mlops.workflow.model_step import ModelStep
        from sagemaker.serve.model_builder import ModelBuilder

        given = step["Arguments"]
        container = given["InferenceSpecification"]["Containers"][0]
        statistics = given["ModelMetrics"]["ModelQuality"]["Statistics"]
        builder = ModelBuilder(
            image_uri=self.value(container["Image"]),
            role_arn=ROLE,
            sagemaker_session=self.session,
            s3_model_data_url=self.value(container["ModelDataUrl"]),
        )
        arguments = builder.register(
            model_package_group_name=given["ModelPackageGroupName"],
            content_types=given["InferenceSpecification"]["SupportedContentTypes"],
            response_types=given["InferenceSpecification"]["SupportedResponseMIMETypes"],
            approval_status=self.value(given["ModelApprovalStatus"]),
            model_metrics=ModelMetrics(
                model_statistics=MetricsSource(
                    content_type=statistics["ContentType"], s3_uri=self.value(statistics["S3Uri"])
                )
            ),
            customer_metadata_properties=self.value(given["CustomerMetadataProperties"]),
            skip_model_validation=given["SkipModelValidation"],
        )
        policies = {"retry_policies": _retries(step.get("RetryPolicies", []))}
        return ModelStep(step_args=arguments, **self.common(step), **policies)


def _parameter(declared: dict[str, Any]) -> Any:
    from sagemaker.core.workflow.parameters import (
        ParameterFloat,
        ParameterInteger,
        ParameterString,
    )

    kinds = {"String": ParameterString, "Integer": ParameterInteger, "Float": ParameterFloat}
    more = {"enum_values": declared["EnumValues"]} if "EnumValues" in declared else {}
    default = declared.get("DefaultValue")
    return kinds[declared["Type"]](name=declared["Name"], default_value=default, **more)


def _retries(policies: list[dict[str, Any]]) -> list[Any]:
    from sagemaker.mlops.workflow.retry import (
        SageMakerJobExceptionTypeEnum,
        SageMakerJobStepRetryPolicy,
        StepExceptionTypeEnum,
        StepRetryPolicy,
    )

    found = []
    for policy in policies:
        numbers = {
            "interval_seconds": policy["IntervalSeconds"],
            "backoff_rate": policy["BackoffRate"],
            "max_attempts": policy["MaxAttempts"],
        }
        faults = policy["ExceptionType"]
        if all(fault.startswith("Step.") for fault in faults):
            kinds = [_member(StepExceptionTypeEnum, fault) for fault in faults]
            found.append(StepRetryPolicy(exception_types=kinds, **numbers))
        else:
            jobs = [_member(SageMakerJobExceptionTypeEnum, fault) for fault in faults]
            found.append(SageMakerJobStepRetryPolicy(exception_types=jobs, **numbers))
    return found


def _member(kind: Any, value: str) -> Any:
    """Called with a value, the SDK's enumerations give their first member, whatever the value."""
    return next(member for member in kind if member.value == value)


def _session() -> Any:
    """A session that asks nobody and sends nothing."""
    import boto3
    from sagemaker.core.workflow.pipeline_context import PipelineSession

    class Offline(PipelineSession):  # type: ignore[misc]
        def default_bucket(self) -> str:
            return BUCKET

        def account_id(self) -> str:
            return ACCOUNT

        def get_caller_identity_arn(self) -> str:
            return ROLE

    keys = {"aws_access_key_id": "offline", "aws_secret_access_key": "offline"}
    silent = {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}
    return Offline(
        boto_session=boto3.Session(region_name=REGION, **keys),
        default_bucket=BUCKET,
        sagemaker_config={"SchemaVersion": "1.0", "SageMaker": silent},
    )


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)
    out = sys.stdout
    sys.stdout = sys.stderr  # the SDK talks
    text = Twin(json.load(sys.stdin)).definition()
    out.write(text)
