"""A user pool, set up as an administrator would and signed in to as a user would."""

import base64
import json
import time
from dataclasses import dataclass

import boto3
from joserfc import jwk, jwt
from moto.utilities.utils import load_resource

REGION = "us-east-1"
PASSWORD = "Correct-horse-1"

# carol is in no group at all: her tokens carry no `cognito:groups`. The groups of
# dave only look like `admin`; the last is one name, though it reads like two.
USERS = {
    "alice": ["admin", "user"],
    "bob": ["user"],
    "carol": [],
    "dave": ["Admin", "not-admin", "admin,user"],
}


@dataclass(frozen=True)
class User:
    name: str
    access: str
    id: str

    @property
    def sub(self) -> str:
        return claims(self.access)["sub"]


class UserPool:
    def __init__(self, endpoint: str):
        cognito = boto3.client(
            "cognito-idp",
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id="e2e",
            aws_secret_access_key="e2e",
        )
        self.id = cognito.create_user_pool(PoolName="shop")["UserPool"]["Id"]
        self.client_id = cognito.create_user_pool_client(
            UserPoolId=self.id,
            ClientName="storefront",
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )["UserPoolClient"]["ClientId"]
        self.issuer = f"https://cognito-idp.{REGION}.amazonaws.com/{self.id}"
        self.jwks_url = f"{endpoint}/{self.id}/.well-known/jwks.json"

        for group in sorted(set().union(*USERS.values())):
            cognito.create_group(UserPoolId=self.id, GroupName=group)
        for name, groups in USERS.items():
            self._invite(cognito, name, groups)
        self.users = {name: self._sign_in(cognito, name) for name in USERS}

    def __getitem__(self, name: str) -> User:
        return self.users[name]

    def _invite(self, cognito, name, groups):
        cognito.admin_create_user(UserPoolId=self.id, Username=name, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(
            UserPoolId=self.id, Username=name, Password=PASSWORD, Permanent=True
        )
        for group in groups:
            cognito.admin_add_user_to_group(UserPoolId=self.id, Username=name, GroupName=group)

    def _sign_in(self, cognito, name) -> User:
        tokens = cognito.initiate_auth(
            ClientId=self.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
        )["AuthenticationResult"]
        return User(name, access=tokens["AccessToken"], id=tokens["IdToken"])


def expired(token: str) -> str:
    """The same token, as if issued two hours earlier and signed by the same pool: it ran out an hour ago."""
    earlier = {name: claims(token)[name] - 2 * 3600 for name in ("auth_time", "iat", "exp")}
    assert earlier["exp"] < time.time()
    return signed_by_the_pool({**claims(token), **earlier})


def signed_by_the_pool(payload: dict) -> str:
    """A token under the key that moto signs with, which it ships with its package."""
    key = jwk.RSAKey.import_key(load_resource("moto.cognitoidp", "resources/jwks-private.json"))
    return signed(payload, key)


def signed(payload: dict, key) -> str:
    return jwt.encode({"kid": "dummy", "alg": "RS256"}, payload, key)


def with_claims(token: str, **changed) -> str:
    """The same token with other claims under the old signature."""
    header, _, signature = token.split(".")
    return ".".join([header, encoded({**claims(token), **changed}), signature])


def claims(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def encoded(part: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
