"""Validates labs against the JSON Schema of lab files: validate.py SCHEMA LAB…

Prints `good LAB` or `bad LAB: why` per lab; exit 1 when the schema itself is wrong. Reads YAML as 1.2 has it (`on` and
`yes` are words), as editors do; PyYAML alone reads 1.1."""

import json
import re
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: its numbers and truth values only."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in [
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$|^0x[0-9a-fA-F]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("merge", r"^(?:<<)$", "<"),
]:
    Loader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(pattern), list(first))

with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for path in sys.argv[2:]:
    with open(path) as file:
        lab = yaml.load(file, Loader)
    error = jsonschema.exceptions.best_match(validator.iter_errors(lab))
    print(f"bad {path}: {'/'.join(map(str, error.path))}: {error.message[:200]}" if error else f"good {path}")
