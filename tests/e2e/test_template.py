"""The template of examples/sam: what the linters say, and what CloudFormation would make of it."""

import os
import re
import subprocess

import pytest

import template
from cognito import REGION
from gateway import ROUTES
from programs import program

EVERY = sorted(ROUTES)
every_function = pytest.mark.parametrize("function", EVERY)


@pytest.mark.parametrize(
    "linter",
    [["sam", "validate", "--lint"], ["cfn-lint", "--include-checks", "I", "--", template.TEMPLATE.name]],
    ids=["sam", "cfn-lint"],
)
def test_linters_find_nothing(linter):
    name, *arguments = linter
    result = subprocess.run(
        [program(name), *arguments],
        cwd=template.TEMPLATE.parent,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_handler_is_a_function_with_its_route_and_no_other():
    assert sorted(template.functions()) == EVERY
    assert sorted(template.routes()) == sorted(ROUTES.values())


@every_function
class TestFunction:
    @pytest.fixture
    def properties(self, function):
        return template.functions()[function]

    def test_is_what_its_route_calls(self, function, properties):
        operation = template.routes()[ROUTES[function]]
        integration = operation["x-amazon-apigateway-integration"]
        assert f"${{{properties['Name']}.Arn}}" in integration["uri"]["Fn::Sub"]
        assert integration["payloadFormatVersion"] == "2.0"

    def test_is_called_only_with_a_token_of_the_pool(self, function, properties):
        assert template.routes()[ROUTES[function]]["security"] == [{"SignedIn": []}]

    def test_is_called_by_nothing_but_its_route(self, function, properties):
        [permission] = [
            permission
            for permission in template.resources("AWS::Lambda::Permission").values()
            if permission["FunctionName"] == {"Ref": properties["Name"]}
        ]
        assert permission["Principal"] == "apigateway.amazonaws.com"
        text, names = permission["SourceArn"]["Fn::Sub"]
        method, path = ROUTES[function]
        # SAM writes any stage. The API has one, and whoever may add another may change this permission too.
        assert names == {"__ApiId__": {"Ref": "Api"}, "__Stage__": "*"}
        assert text.endswith(f":${{__ApiId__}}/${{__Stage__}}/{method}{re.sub('{.*?}', '*', path)}")

    def test_has_the_layer(self, properties):
        [layer] = properties["Layers"]
        [(name, contents)] = template.resources("AWS::Lambda::LayerVersion").items()
        assert layer == {"Ref": name}
        assert contents["CompatibleArchitectures"] == properties["Architectures"] == ["x86_64"]
        assert contents["CompatibleRuntimes"] == [properties["Runtime"]]

    def test_says_whose_tokens_and_which_policies_and_tables(self, properties):
        assert properties["Environment"]["Variables"] == {
            "PRODUCTS_TABLE": {"Ref": "Products"},
            "CATEGORIES_TABLE": {"Ref": "Categories"},
            "PALISADE__ISSUERS__0__ISSUER": {"Fn::GetAtt": ["Users", "ProviderURL"]},
            "PALISADE__ISSUERS__0__CLIENT_IDS": {"Fn::Sub": '["${Storefront}"]'},
            "PALISADE__ISSUERS__0__TOKEN_USE": '["access"]',
            "PALISADE__POLICIES__BUNDLE__URL": {"Fn::Sub": "s3://${Policies}/policies.tar.gz"},
            "PALISADE__POLICIES__BUNDLE__COPY": "/tmp/palisade-bundle",
        }

    def test_may_read_the_bundle_write_its_log_and_nothing_else_beside_its_tables(self, function):
        """What it may do to the tables is held to what it does, in test_built_functions.py."""
        beside = {grant for grant in template.grants(function) if not grant[0].startswith("dynamodb:")}
        assert beside == {
            ("s3:GetObject", "${Policies.Arn}/policies.tar.gz"),
            ("logs:CreateLogStream", "Logs.Arn"),
            ("logs:PutLogEvents", "Logs.Arn"),
        }

    def test_writes_to_the_log_that_is_kept(self, properties):
        assert properties["LoggingConfig"] == {"LogGroup": {"Ref": "Logs"}}


def test_nothing_is_granted_with_a_wildcard():
    """A wildcard in a deny takes away; in an allow it gives what nobody has named."""
    allowed = [statement for statement in template.statements() if statement["Effect"] == "Allow"]
    assert len(allowed) > len(EVERY)
    for statement in allowed:
        names = [
            *template.listed(statement["Action"]),
            *map(template.written, template.listed(statement.get("Resource", []))),
        ]
        assert not [name for name in names if "*" in name], statement
        assert "*" not in str(statement.get("Principal"))


def test_no_role_has_a_policy_that_is_not_in_the_template():
    for role in template.resources("AWS::IAM::Role").values():
        assert role["ManagedPolicyArns"] == [{"Ref": "ReadPoliciesAndWriteLogs"}]


def test_the_bucket_of_policies_is_private_encrypted_versioned_and_spoken_to_over_tls():
    [bucket] = template.resources("AWS::S3::Bucket").values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    [policy] = template.resources("AWS::S3::BucketPolicy").values()
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [{"Fn::GetAtt": ["Policies", "Arn"]}, {"Fn::Sub": "${Policies.Arn}/*"}],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_the_pool_has_the_groups_that_the_policies_speak_of_and_a_client_without_a_secret():
    groups = template.resources("AWS::Cognito::UserPoolGroup").values()
    assert sorted(group["GroupName"] for group in groups) == ["admin", "user"]
    [client] = template.resources("AWS::Cognito::UserPoolClient").values()
    assert client["GenerateSecret"] is False
    assert "ALLOW_USER_SRP_AUTH" in client["ExplicitAuthFlows"]
    # Users can write what the client may write, and no claim of theirs is to decide anything.
    assert client["WriteAttributes"] == ["email"]


@pytest.mark.parametrize(
    "kind", ["AWS::Cognito::UserPool", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Logs::LogGroup"]
)
def test_what_holds_data_outlives_the_stack(kind):
    kept = [resource for resource in template.transformed()["Resources"].values() if resource["Type"] == kind]
    assert kept
    for resource in kept:
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
