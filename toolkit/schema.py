"""The JSON Schema of `result.json`, kept in the package for readers in other languages.

`python -m toolkit.schema` writes it again after a change of `toolkit/deployment.py`.
"""

import json
from pathlib import Path

from toolkit.deployment import Deployment

SCHEMA_FILE = Path(__file__).with_name("result.schema.json")


def result_schema() -> str:
    """The schema as text, as it must stand in SCHEMA_FILE."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | Deployment.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(result_schema(), encoding="utf-8")
