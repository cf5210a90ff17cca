"""The stack of examples/sam, as far as moto can play AWS.

moto's CloudFormation makes the tables, the bucket, the log group, the roles and the functions, and works out their
environment. It knows neither SAM nor Cognito nor HTTP APIs: SAM's own translator does the transformation, the pool
is made by the same properties through Cognito's API, and http_api.py is the API.
"""

import io
import json
import zipfile

import boto3

import template
from cognito import REGION


class Stack:
    """`shop`, deployed; `outputs` are those of the template."""

    def __init__(self, endpoint: str, api: str):
        self._clients = {"region_name": REGION, "endpoint_url": endpoint} | {
            name: "e2e" for name in ("aws_access_key_id", "aws_secret_access_key")
        }
        pool, client = self._user_pool()
        known = {
            "Users": pool,
            "Storefront": client,
            "Users.ProviderURL": f"https://cognito-idp.{REGION}.amazonaws.com/{pool}",
            "Api.ApiEndpoint": api,
        }
        self._upload()
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(
            StackName="shop", TemplateBody=json.dumps(deployable(known)), Capabilities=["CAPABILITY_IAM"]
        )
        [stack] = cloudformation.describe_stacks(StackName="shop")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def client(self, service: str):
        return boto3.client(service, **self._clients)

    def delete(self):
        self.client("cloudformation").delete_stack(StackName="shop")

    def environment(self, function: str) -> dict[str, str]:
        """What AWS tells a function, and with it the extension."""
        for configuration in self.client("lambda").list_functions()["Functions"]:
            if configuration["Handler"] == f"{function}.handler":
                return configuration["Environment"]["Variables"]
        raise LookupError(function)

    def table(self, name: str):
        return boto3.resource("dynamodb", **self._clients).Table(self.physical_id(name))

    def physical_id(self, name: str) -> str:
        resource = self.client("cloudformation").describe_stack_resource(StackName="shop", LogicalResourceId=name)
        return resource["StackResourceDetail"]["PhysicalResourceId"]

    def _user_pool(self) -> tuple[str, str]:
        cognito = self.client("cognito-idp")
        [properties] = template.resources("AWS::Cognito::UserPool").values()
        pool = cognito.create_user_pool(PoolName="shop", **properties)["UserPool"]["Id"]
        [properties] = template.resources("AWS::Cognito::UserPoolClient").values()
        properties = {**properties, "UserPoolId": pool, "ClientName": "storefront"}
        client = cognito.create_user_pool_client(**properties)["UserPoolClient"]["ClientId"]
        for properties in template.resources("AWS::Cognito::UserPoolGroup").values():
            cognito.create_group(**{**properties, "UserPoolId": pool})
        return pool, client

    def _upload(self):
        """What `sam deploy` uploads: moto wants something there."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as contents:
            contents.writestr("empty", "")
        s3 = self.client("s3")
        s3.create_bucket(Bucket="artifacts")
        for key in ("functions.zip", "layer.zip"):
            s3.put_object(Bucket="artifacts", Key=key, Body=archive.getvalue())


def deployable(known: dict[str, str]) -> dict:
    """The transformed template without what moto's CloudFormation cannot make, whose values are `known`."""
    transformed = template.transformed()
    unknown = ("AWS::Cognito::", "AWS::ApiGatewayV2::", "AWS::Lambda::Permission", "AWS::S3::BucketPolicy")
    resources = {
        name: resource
        for name, resource in transformed["Resources"].items()
        if not resource["Type"].startswith(unknown)
    }
    return _with(known, {**transformed, "Resources": resources})


def _with(known, value):
    match value:
        case {"Ref": str(name)} if name in known:
            return known[name]
        case {"Fn::GetAtt": [name, attribute]} if f"{name}.{attribute}" in known:
            return known[f"{name}.{attribute}"]
        case {"Fn::Sub": str(text)}:
            for name, known_as in known.items():
                text = text.replace(f"${{{name}}}", known_as)
            return {"Fn::Sub": text}
        case dict():
            return {name: _with(known, member) for name, member in value.items()}
        case list():
            return [_with(known, element) for element in value]
    return value
