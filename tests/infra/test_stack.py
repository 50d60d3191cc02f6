"""The AWS stack: what is in it, who may do what, and what three linters say of it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from account_by_hand import CONNECTION, CONTEXT, PROVIDER, ROOT

from infra import project, settings

pytestmark = pytest.mark.slow

GOLDEN = ROOT / "tests" / "golden" / "infra.template.json"
UNSCOPED = {"cloudwatch:PutMetricData", "ecr:GetAuthorizationToken", "sagemaker:ListPipelines"}
"""Actions for which IAM knows no resource."""


def of_type(template: dict, kind: str) -> dict[str, dict]:
    found = template["Resources"].items()
    return {name: each.get("Properties", {}) for name, each in found if each["Type"] == kind}


def role_of(template: dict, part: str) -> str:
    """The logical id of the one role whose id holds ``part``."""
    [found] = [name for name in of_type(template, "AWS::IAM::Role") if part in name]
    return found


def statements(template: dict, part: str) -> list[dict]:
    """What the policies of a role say; actions and resources as lists."""
    role = role_of(template, part)
    found = []
    for policy in of_type(template, "AWS::IAM::Policy").values():
        if {"Ref": role} in policy["Roles"]:
            found += policy["PolicyDocument"]["Statement"]
    assert found, f"{part} may do nothing"
    as_list = lambda value: value if isinstance(value, list) else [value]  # noqa: E731
    return [
        {**each, "Action": as_list(each["Action"]), "Resource": as_list(each["Resource"])}
        for each in found
    ]


def allowed(template: dict, part: str, service: str) -> set[str]:
    """The actions of a service that a role may do."""
    found = [s["Action"] for s in statements(template, part) if s["Effect"] == "Allow"]
    actions = {action for each in found for action in each}
    return {a.partition(":")[2] for a in actions if a.startswith(f"{service}:")}


def test_the_template_is_what_it_was(template, update_golden):
    text = re.sub(r"\b[0-9a-f]{64}\b", "ASSET", json.dumps(template, indent=1, sort_keys=True))
    if update_golden:
        GOLDEN.write_text(f"{text}\n", "utf-8")
    assert f"{text}\n" == GOLDEN.read_text("utf-8"), "changed; if on purpose: --update-golden"
    assert not re.search(r"\b\d{12}\b", text.replace("111122223333", "")), "an account's number"


def test_cfn_lint_finds_nothing(synthesised):
    program = Path(sys.executable).with_name("cfn-lint")
    # W3005: the CDK also writes down dependencies that a reference implies
    command = [str(program), "--regions", "eu-west-1", "--ignore-checks", "W3005", "--"]
    command.append(str(synthesised / "soundgate-p-1.template.json"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_cdk_nag_accepts_every_wildcard_for_a_reason_of_its_own(synthesised):
    report = json.loads((synthesised / "validation-report.json").read_text("utf-8"))
    [nag] = [p for p in report["pluginReports"] if p["pluginName"] == "AwsSolutions"]
    assert nag["conclusion"] == "success"
    assert nag["violations"] == []
    accepted = nag["suppressedViolations"]
    rules = {each["ruleName"].partition("[")[0] for each in accepted}
    assert rules == {"AwsSolutions-IAM5", "AwsSolutions-SQS3"}
    assert not any("[Action::" in each["ruleName"] for each in accepted), "no action has a wildcard"


def test_a_wildcard_without_a_reason_is_refused(declare):
    from aws_cdk import Stack
    from aws_cdk import aws_iam as iam

    app = declare(tracking="none")
    stack = app.node.find_child("soundgate-p-1")
    assert isinstance(stack, Stack)
    role = iam.Role(stack, "Loose", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"]))
    with pytest.raises(
        RuntimeError, match=r"Loose/DefaultPolicy[\s\S]*AwsSolutions-IAM5\[Resource::\*\]"
    ):
        app.synth()
    template = json.loads((Path(app.outdir) / "soundgate-p-1.template.json").read_text("utf-8"))
    assert not of_type(template, "AWS::SageMaker::MlflowApp"), "none was asked for"
    builds = of_type(template, "AWS::CodeBuild::Project").values()
    assert "MLFLOW_TRACKING_URI" not in json.dumps(list(builds))


def test_no_policy_is_wider_than_what_is_done(template):
    for policy in of_type(template, "AWS::IAM::Policy").values():
        for each in policy["PolicyDocument"]["Statement"]:
            actions = each["Action"] if isinstance(each["Action"], list) else [each["Action"]]
            assert not any("*" in action for action in actions)
            if each["Resource"] == "*":
                assert set(actions) <= UNSCOPED
    for role in of_type(template, "AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role
        assert "Policies" not in role


def test_roles_of_sagemaker_are_borrowed_by_this_account_alone(template):
    for part in ("RolesJob", "RolesPipeline", "TrackingRole"):
        role = of_type(template, "AWS::IAM::Role")[role_of(template, part)]
        [trust] = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
        assert trust["Condition"] == {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }


def test_the_pipeline_starts_jobs_and_never_approves(template):
    may = allowed(template, "RolesPipeline", "sagemaker")
    jobs = {
        f"{verb}{kind}Job"
        for verb in ("Create", "Describe", "Stop")
        for kind in ("Processing", "Training")
    }
    packages = {"CreateModelPackage", "DescribeModelPackage", "DescribeModelPackageGroup"}
    assert may == jobs | packages | {"AddTags"}
    [denied] = [s for s in statements(template, "RolesPipeline") if s["Effect"] == "Deny"]
    assert "sagemaker:CreateModelPackage" in denied["Action"]
    assert denied["Condition"]["StringEquals"] == {"sagemaker:ModelApprovalStatus": "Approved"}
    assert allowed(template, "RolesPipeline", "s3") == {
        "GetBucketLocation",
        "GetObject",
        "ListBucket",
    }


def test_jobs_handle_data_and_start_nothing(template):
    assert allowed(template, "RolesJob", "sagemaker") == {"CallMlflowAppApi", "DescribeMlflowApp"}
    assert not allowed(template, "RolesJob", "iam")
    deleting = [s for s in statements(template, "RolesJob") if "s3:DeleteObject" in s["Action"]]
    [where] = [resource for s in deleting for resource in s["Resource"]]
    assert where["Fn::Join"][1][-1] == "/soundgate/*/checkpoints/*"
    assert deleting[0]["Action"] == ["s3:DeleteObject"]


def test_only_the_role_that_is_next_may_be_passed_on(template):
    passed = {
        part: [s for s in statements(template, part) if s["Action"] == ["iam:PassRole"]]
        for part in ("RolesPipeline", "DeliveryTraining", "GithubRole", "RolesJob")
    }
    next_role = {"RolesPipeline": "RolesJob", "DeliveryTraining": "RolesPipeline"}
    next_role["GithubRole"] = "RolesPipeline"
    assert passed.pop("RolesJob") == []
    for part, [statement] in passed.items():
        assert statement["Resource"] == [
            {"Fn::GetAtt": [role_of(template, next_role[part]), "Arn"]}
        ]
        assert statement["Condition"] == {
            "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
        }


def calls_of(folder: Path) -> set[tuple[str, str]]:
    """(service, operation) of every ``call("s3", "head_bucket", ...)`` of a package."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            words = [a.value for a in node.args[:2] if isinstance(a, ast.Constant)]
            if name in ("call", "change", "pages") and len(words) == 2:
                found.add((words[0], words[1]))
    return found


def test_a_build_may_do_what_the_executor_calls_and_no_more(template):
    called = calls_of(ROOT / "soundgate" / "executors" / "sagemaker")
    assert ("sagemaker", "start_pipeline_execution") in called
    for service in ("sagemaker", "logs"):
        camel = {
            "".join(word.title() for word in operation.split("_"))
            for of, operation in called
            if of == service
        }
        for part in ("DeliveryTraining", "GithubRole"):
            may = allowed(template, part, service)
            may -= {"CreateLogStream", "PutLogEvents"}  # the build's own log
            assert may == camel
    others = {each for each in called if each[0] not in ("sagemaker", "logs")}
    assert others == {("s3", "head_bucket"), ("sts", "get_caller_identity"), ("iam", "get_role")}
    assert "GetRole" in allowed(template, "DeliveryTraining", "iam")
    written = [s for s in statements(template, "DeliveryTraining") if "s3:PutObject" in s["Action"]]
    where = {s["Resource"][0]["Fn::Join"][1][-1] for s in written}
    assert where == {"/soundgate/*", "/*"}, "files, and what is handed over, in another bucket"


def test_builds_are_told_what_project_py_reads(template):
    [training] = [
        p
        for p in of_type(template, "AWS::CodeBuild::Project").values()
        if p["Source"]["BuildSpec"] == "buildspec.yml"
    ]
    variables = {v["Name"]: v["Value"] for v in training["Environment"]["EnvironmentVariables"]}
    [train] = [a for stage in stages(template)[2:] for a in stage["Actions"]]
    overrides = json.loads(train["Configuration"]["EnvironmentVariables"])
    variables |= {v["name"]: v["value"] for v in overrides}
    assert variables["IMAGE_URI"] == "#{Images.IMAGE_URI}"
    assert variables["TRAINING_IMAGE_URI"] == "#{Images.TRAINING_IMAGE_URI}"
    assert variables["USECASE_NAME"] == "aed"
    assert variables["SAGEMAKER_PROJECT_NAME_ID"] == "soundgate-p-1"
    assert {*project.NEEDED, *project.PROFILE_FIELDS.values()} <= set(variables)
    assert training["TimeoutInMinutes"] == 8 * 60
    assert not training["Environment"]["PrivilegedMode"]


def stages(template: dict) -> list[dict]:
    [pipeline] = of_type(template, "AWS::CodePipeline::Pipeline").values()
    assert (pipeline["PipelineType"], pipeline["ExecutionMode"]) == ("V2", "QUEUED")
    return pipeline["Stages"]


def test_a_push_makes_images_then_trains(template):
    source, images, train = stages(template)
    [git] = source["Actions"]
    assert git["Configuration"] == {
        "BranchName": "main",
        "ConnectionArn": CONNECTION,
        "DetectChanges": True,
        "FullRepositoryId": "acme/sounds",
    }
    assert images["Actions"][0]["Namespace"] == "Images"
    specs = {
        name: p["Source"]["BuildSpec"]
        for name, p in of_type(template, "AWS::CodeBuild::Project").items()
    }
    used = [s["Actions"][0]["Configuration"]["ProjectName"]["Ref"] for s in (images, train)]
    assert [specs[name] for name in used] == ["infra/containers/buildspec.yml", "buildspec.yml"]
    assert all((ROOT / spec).is_file() for spec in specs.values())
    [pipeline] = [
        r for r in template["Resources"].values() if r["Type"] == "AWS::CodePipeline::Pipeline"
    ]
    policies = {n for n in of_type(template, "AWS::IAM::Policy") if n.startswith("Delivery")}
    assert len(policies) == 3
    assert policies <= set(pipeline["DependsOn"]), "it starts as soon as it is there"


def test_an_approval_is_told(template):
    [rule] = of_type(template, "AWS::Events::Rule").values()
    assert rule["EventPattern"] == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {
            "ModelPackageGroupName": ["soundgate-p-1"],
            "ModelApprovalStatus": ["Approved"],
        },
    }
    [target] = rule["Targets"]
    [topic] = of_type(template, "AWS::SNS::Topic")
    assert target["Arn"] == {"Ref": topic}
    assert "DeadLetterConfig" in target
    told = json.loads(
        target["InputTransformer"]["InputTemplate"].replace("<", '"<').replace(">", '>"')
    )
    assert set(told) == {"model_package", "model", "version", "status", "properties"}
    [group] = of_type(template, "AWS::SageMaker::ModelPackageGroup").values()
    assert group["ModelPackageGroupName"] == "soundgate-p-1"
    [key] = of_type(template, "AWS::KMS::Key").values()
    services = [s["Principal"].get("Service") for s in key["KeyPolicy"]["Statement"]]
    assert "events.amazonaws.com" in services, "else the topic's key keeps EventBridge out"


def test_data_is_kept_encrypted_and_closed(template):
    for name, each in template["Resources"].items():
        if each["Type"] in ("AWS::S3::Bucket", "AWS::ECR::Repository", "AWS::KMS::Key"):
            assert each["DeletionPolicy"] == "Retain", name
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        assert all(bucket["PublicAccessBlockConfiguration"].values()), name
        assert bucket["BucketEncryption"], name
        if "Artifacts" in name or "Delivery" in name:
            assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    [images] = of_type(template, "AWS::ECR::Repository").values()
    assert images["ImageTagMutability"] == "IMMUTABLE"
    assert images["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_github_signs_in_from_one_branch_alone(template):
    role = of_type(template, "AWS::IAM::Role")[role_of(template, "GithubRole")]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Federated": PROVIDER}
    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:acme/sounds:ref:refs/heads/main",
        }
    }
    assert role["MaxSessionDuration"] >= 21600, "as long as the workflow asks for"


def test_a_tracking_server_in_place_of_the_app(declare):
    from aws_cdk.assertions import Template

    app = declare(tracking="server", github_provider_arn="", release_email="")
    found = Template.from_stack(app.node.find_child("soundgate-p-1")).to_json()
    [server] = of_type(found, "AWS::SageMaker::MlflowTrackingServer").values()
    assert server["TrackingServerName"] == "soundgate-p-1"
    assert server["AutomaticModelRegistration"] is False
    tracking = allowed(found, "RolesJob", "sagemaker-mlflow")
    assert {"CreateRun", "LogBatch", "CreateModelVersion"} <= tracking
    assert not any(name.startswith("Delete") for name in tracking)
    assert not of_type(found, "AWS::SNS::Subscription")
    assert not [name for name in of_type(found, "AWS::IAM::Role") if "Github" in name]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"project_name": "a b"}, "project_name: 'a b'"),
        ({"repository": "sounds"}, "owner/name"),
        ({"connection_arn": ""}, "connection_arn"),
        ({"tracking": "mlflow"}, "tracking: 'mlflow'"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(changed, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        settings.read({**CONTEXT, **changed}.get)
    assert settings.read({**CONTEXT, "build_hours": "3"}.get).build_hours == 3
