"""The shop's rules about products, and as many more as asked for, in the words of each server.

What is added is what a shop that grows adds: rights of teams and of single users in their own categories,
suspended users, frozen products. None of it is about the user or the product that the benchmark asks for,
as most rules are not about any one request.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Json = dict[str, object]

# Ten rules of a growing shop, by kind.
MIX = ("team", "user", "frozen", "team", "user", "suspended", "team", "user", "frozen", "team")

# What rows ask of that say "every request evaluates one condition".
OWNERS = """
@id("owners-update-their-products")
permit (
  principal,
  action == Shop::Action::"updateProduct",
  resource
)
when { resource has owner && resource.owner == principal };
"""


@dataclass(frozen=True)
class Rule:
    """One rule of the growing shop; its kind follows from its number."""

    number: int

    @property
    def kind(self) -> str:
        return MIX[self.number % len(MIX)]

    def cedar(self) -> str:
        n = self.number
        scope, condition = {
            "team": (
                f'principal in Shop::Group::"team-{n}", action in [Shop::Action::"manageProducts"], '
                f'resource in Shop::Category::"c-{n}"',
                ' when { resource has status && resource.status != "archived" }',
            ),
            "user": (
                f'principal == Shop::User::"u-{n}", action == Shop::Action::"updateProduct", '
                f'resource in Shop::Category::"c-{n}"',
                ' when { resource has status && resource.status == "draft" }',
            ),
            "frozen": (
                f'principal, action in [Shop::Action::"manageProducts"], resource == Shop::Product::"frozen-{n}"',
                ' unless { principal in Shop::Group::"release" }',
            ),
            "suspended": (f'principal == Shop::User::"u-{n}", action, resource', ""),
        }[self.kind]
        effect = "permit" if self.kind in ("team", "user") else "forbid"
        return f'@id("{self.kind}-{n}")\n{effect} ({scope}){condition};\n'

    def cerbos_rule(self) -> Json | None:
        """A rule of the resource policy; None for those of single users."""
        n = self.number
        if self.kind == "team":
            return cerbos(
                ["update", "delete"],
                f'R.attr.category == "c-{n}" && R.attr.status != "archived"',
                roles=[f"team-{n}"],
            )
        if self.kind == "frozen":
            return cerbos(
                ["update", "delete"], f'R.id == "frozen-{n}" && !("release" in P.roles)', "EFFECT_DENY"
            )
        return None

    def cerbos_principal(self) -> Json | None:
        """A principal policy; None for rules that are about more than one user."""
        if self.kind == "user":
            condition = f'R.attr.category == "c-{self.number}" && R.attr.status == "draft"'
            action = {
                "action": "update",
                "effect": "EFFECT_ALLOW",
                "condition": {"match": {"expr": condition}},
            }
        elif self.kind == "suspended":
            action = {"action": "*", "effect": "EFFECT_DENY"}
        else:
            return None
        return {
            "apiVersion": "api.cerbos.dev/v1",
            "principalPolicy": {
                "principal": f"u-{self.number}",
                "version": "default",
                "rules": [{"resource": "product", "actions": [action]}],
            },
        }


def more(count: int, shops: int) -> Iterator[Rule]:
    """As many rules as are wanting to `count`, where the shop has its own."""
    return map(Rule, range(max(0, count - shops)))


def cerbos(
    actions: list[str], condition: str | None, effect: str = "EFFECT_ALLOW", roles: Sequence[str] = ("*",)
) -> Json:
    rule: Json = {"actions": actions, "effect": effect, "roles": list(roles)}
    return rule if condition is None else rule | {"condition": {"match": {"expr": condition}}}


def cerbos_policies(count: int, by_token: bool) -> Iterator[str]:
    """The same rules as Cerbos knows them: what is about roles in the policy of the resource, what is about
    one user in a policy of that user's own. JSON is YAML."""
    admins = cerbos(["create", "update", "delete"], None, roles=["admin"])
    if by_token:
        admins = cerbos(["create", "update", "delete"], '"admin" in request.auxData.jwt["cognito:groups"]')
    rules = [admins, cerbos(["read", "list"], None)]
    added = list(more(count, len(rules)))
    rules += [rule for rule in (each.cerbos_rule() for each in added) if rule]
    yield json.dumps(
        {
            "apiVersion": "api.cerbos.dev/v1",
            "resourcePolicy": {"resource": "product", "version": "default", "rules": rules},
        }
    )
    yield from (json.dumps(policy) for policy in (each.cerbos_principal() for each in added) if policy)


def cedar_agent_policies(count: int) -> list[Json]:
    """The same rules in the Cedar of cedar-agent, whose `is` is yet to come: it knows users only."""
    admins = (
        'permit (principal in Shop::Group::"admin", action in [Shop::Action::"manageProducts"], resource);'
    )
    users = 'permit (principal, action in [Shop::Action::"viewProducts"], resource);'
    texts = [admins, users, *(rule.cedar() for rule in more(count, 2))]
    return [{"id": f"policy-{number}", "content": text} for number, text in enumerate(texts)]
