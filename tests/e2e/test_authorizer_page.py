"""docs/authorizer.md attaches the function to an API: its commands are run, and what they make is in moto."""

import io
import json
import re
import subprocess
import zipfile

import boto3
import pytest

from cognito import REGION
from functions import aws_environment
from programs import program
from service import REPOSITORY

PAGE = (REPOSITORY / "docs/authorizer.md").read_text()
[ATTACH] = re.findall(r"^## Attach it to the API\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
PREPARE, HTTP, REST = re.findall(r"^```sh\n(.*?)^```$", ATTACH, re.MULTILINE | re.DOTALL)

# moto changes no method of a REST API: there the AWS CLI alone says whether it would send this.
AWS = """
aws() {
  if [ "$2" = update-method ]; then set -- "$@" --generate-cli-skeleton output; fi
  command aws "$@"
}
"""


@pytest.fixture(scope="module")
def client(moto):
    keys = {name: "e2e" for name in ("aws_access_key_id", "aws_secret_access_key")}
    return lambda service: boto3.client(service, region_name=REGION, endpoint_url=moto, **keys)


@pytest.fixture
def function(client):
    role = client("iam").create_role(RoleName="authorizer", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("bootstrap", "")
    name = "palisade-authorizer"
    yield client("lambda").create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role=role,
        Code={"ZipFile": code.getvalue()},
    )["FunctionArn"]
    client("lambda").delete_function(FunctionName=name)
    client("iam").delete_role(RoleName="authorizer")


def run(block: str, moto: str, function: str, api: str) -> None:
    commands = f"{AWS}{PREPARE}{block}"
    for name, value in (("function", function), ("api", api)):
        commands, found = re.subn(rf"^{name}=.*$", f"{name}={value}", commands, flags=re.MULTILINE)
        assert found == 1, name
    environment = {"PATH": f"{program('aws').parent}:/usr/bin:/bin", "AWS_DEFAULT_REGION": REGION}
    result = subprocess.run(
        ["bash", "-euc", commands],
        env={**environment, **aws_environment(moto)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def may_call(client, function: str) -> list[str]:
    policy = json.loads(client("lambda").get_policy(FunctionName=function)["Policy"])
    return [statement["Condition"]["ArnLike"]["AWS:SourceArn"] for statement in policy["Statement"]]


def invocation(function: str) -> str:
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations"


def source(api: str, authorizer: str) -> str:
    return f"arn:aws:execute-api:{REGION}:123456789012:{api}/authorizers/{authorizer}"


def test_an_http_api_asks_the_function_in_format_2_and_keeps_no_answer(client, moto, function):
    gateway = client("apigatewayv2")
    api = gateway.create_api(Name="shop", ProtocolType="HTTP")["ApiId"]
    for key in ("GET /products", "PUT /products/{id}"):
        gateway.create_route(ApiId=api, RouteKey=key)
    run(HTTP, moto, function, api)
    routes = {route["RouteKey"]: route for route in gateway.get_routes(ApiId=api)["Items"]}
    assert routes["GET /products"].get("AuthorizerId") is None
    attached = routes["PUT /products/{id}"]
    assert attached["AuthorizationType"] == "CUSTOM"
    authorizer = gateway.get_authorizer(ApiId=api, AuthorizerId=attached["AuthorizerId"])
    del authorizer["ResponseMetadata"]
    assert may_call(client, function) == [source(api, attached["AuthorizerId"])]
    assert authorizer == {
        "AuthorizerId": attached["AuthorizerId"],
        "AuthorizerPayloadFormatVersion": "2.0",
        "AuthorizerResultTtlInSeconds": 0,
        "AuthorizerType": "REQUEST",
        "AuthorizerUri": invocation(function),
        "EnableSimpleResponses": True,
        "IdentitySource": ["$request.header.Authorization"],
        "Name": "palisade",
    }


@pytest.mark.parametrize("kind", ["REQUEST", "TOKEN"])
def test_a_rest_api_asks_the_function_and_keeps_no_answer(client, moto, function, kind):
    gateway = client("apigateway")
    api = gateway.create_rest_api(name="shop")["id"]
    [root] = gateway.get_resources(restApiId=api)["items"]
    products = gateway.create_resource(restApiId=api, parentId=root["id"], pathPart="products")
    product = gateway.create_resource(restApiId=api, parentId=products["id"], pathPart="{id}")
    method = {"restApiId": api, "resourceId": product["id"], "httpMethod": "PUT"}
    gateway.put_method(**method, authorizationType="NONE")
    gateway.put_integration(**method, type="MOCK")
    run(REST.replace("--type REQUEST", f"--type {kind}"), moto, function, api)
    [authorizer] = gateway.get_authorizers(restApiId=api)["items"]
    assert may_call(client, function) == [source(api, authorizer["id"])]
    [stage] = gateway.get_stages(restApiId=api)["item"]
    assert stage["stageName"] == "prod"
    assert {name: authorizer[name] for name in ("type", "authorizerUri", "identitySource")} == {
        "type": kind,
        "authorizerUri": invocation(function),
        "identitySource": "method.request.header.Authorization",
    }
    assert authorizer["authorizerResultTtlInSeconds"] == 0
