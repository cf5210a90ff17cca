"""The shop's two DynamoDB tables: filled before each test, and compared after it."""

import boto3

from cognito import REGION


class Shop:
    def __init__(self, products, categories):
        self.tables = {"products": products, "categories": categories}

    @classmethod
    def created(cls, endpoint: str) -> "Shop":
        dynamodb = boto3.resource(
            "dynamodb",
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id="e2e",
            aws_secret_access_key="e2e",
        )
        return cls(
            *(
                dynamodb.create_table(
                    TableName=name,
                    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                    BillingMode="PAY_PER_REQUEST",
                )
                for name in ("products", "categories")
            )
        )

    def fill(self, alice: str, bob: str):
        """Alice's categories, one of them empty, and a product each of alice and bob."""
        for name, id in self.items():
            self.tables[name].delete_item(Key={"id": id})
        for item in (
            {"id": "c-books", "name": "Books", "owner": alice, "productCount": 2},
            {"id": "c-empty", "name": "Maps", "owner": alice, "productCount": 0},
        ):
            self.tables["categories"].put_item(Item=item)
        for id, owner in (("p-alice", alice), ("p-bob", bob)):
            self.tables["products"].put_item(
                Item={
                    "id": id,
                    "name": f"A product, {id}",
                    "owner": owner,
                    "category": "c-books",
                    "status": "draft",
                    "price": "12.50",
                }
            )

    def items(self) -> dict[tuple[str, str], dict]:
        """Every item of both tables, by table and id."""
        return {
            (name, item["id"]): item
            for name, table in self.tables.items()
            for item in table.scan(ConsistentRead=True)["Items"]
        }

    def change(self, name: str, id: str, field: str, value):
        """Someone else's write."""
        self.tables[name].update_item(
            Key={"id": id},
            UpdateExpression="SET #field = :value",
            ExpressionAttributeNames={"#field": field},
            ExpressionAttributeValues={":value": value},
        )


def changes(before: dict, after: dict) -> dict[tuple[str, str], tuple]:
    """The items that differ, each as it was and as it is; None where there is none."""
    return {
        key: (before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    }
