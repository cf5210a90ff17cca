"""The template of examples/sam, as CloudFormation sees it once SAM's transformation is done."""

from functools import cache
from pathlib import Path

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from cognito import REGION
from service import REPOSITORY

TEMPLATE = REPOSITORY / "examples/sam/template.yaml"


@cache
def transformed() -> dict:
    template = yaml_parse(TEMPLATE.read_text())
    # `sam deploy` uploads what lies on the disk and writes where to, before CloudFormation sees the template.
    template["Globals"]["Function"]["CodeUri"] = "s3://artifacts/functions.zip"
    template["Resources"]["Palisade"]["Properties"]["ContentUri"] = "s3://artifacts/layer.zip"
    # No managed policy of AWS is known, so that a template which needs one fails.
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    return translator.translate(template, parameter_values={})


def layer() -> Path:
    """Where the layer is taken from, below the root of the repository."""
    layer = yaml_parse(TEMPLATE.read_text())["Resources"]["Palisade"]["Properties"]["ContentUri"]
    return (TEMPLATE.parent / layer).resolve().relative_to(REPOSITORY)


def resources(kind: str) -> dict[str, dict]:
    """The properties of all resources of a type, by their names."""
    return {
        name: resource.get("Properties", {})
        for name, resource in transformed()["Resources"].items()
        if resource["Type"] == kind
    }


def functions() -> dict[str, dict]:
    """The functions by their handlers: `createProduct` and so on."""
    return {
        properties["Handler"].removesuffix(".handler"): {"Name": name, **properties}
        for name, properties in resources("AWS::Lambda::Function").items()
    }


def routes() -> dict[tuple[str, str], dict]:
    """What the API does at a method and a path."""
    [api] = resources("AWS::ApiGatewayV2::Api").values()
    return {
        (method.upper(), path): operation
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
    }


def statements() -> list[dict]:
    """Every statement of every policy in the template, be it of a role, of a bucket or by itself."""
    return [statement for document in _documents(transformed()["Resources"]) for statement in document]


def grants(function: str) -> set[tuple[str, str]]:
    """What a function may do: an action, and the resource as the template writes it."""
    [name] = functions()[function]["Role"]["Fn::GetAtt"][:1]
    role = resources("AWS::IAM::Role")[name]
    documents = [policy["PolicyDocument"] for policy in role["Policies"]]
    managed = resources("AWS::IAM::ManagedPolicy")
    documents += [managed[policy["Ref"]]["PolicyDocument"] for policy in role["ManagedPolicyArns"]]
    return {
        (action, written(resource))
        for document in documents
        for statement in document["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def written(resource) -> str:
    """`Products.Arn` of `!GetAtt Products.Arn`, `${Policies.Arn}/x` of `!Sub`."""
    match resource:
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": text} | str(text):
            return text


def listed(value) -> list:
    return value if isinstance(value, list) else [value]


def _documents(value):
    match value:
        case {"Statement": statements}:
            yield listed(statements)
        case dict():
            for member in value.values():
                yield from _documents(member)
        case list():
            for element in value:
                yield from _documents(element)
