"""Validates custom resources by the schemas of their definitions: custom_resources.py DEFINITIONS FILE...

DEFINITIONS is a directory with one CustomResourceDefinition per file. Unknown fields are errors, as with
`kubectl apply --validate=strict`. Resources of Kubernetes itself are left to kubernetes-validate.
"""

import pathlib
import sys

import jsonschema
import yaml

# A definition lists `=` among the values of a field. PyYAML knows it as a type of its own.
yaml.SafeLoader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)


def main(directory, *paths):
    checked, errors = 0, []
    for path in paths:
        for resource in yaml.safe_load_all(pathlib.Path(path).read_text()):
            group, _, version = resource["apiVersion"].partition("/")
            kind = resource["kind"]
            definition = pathlib.Path(directory) / f"{group}_{kind.lower()}s.yaml"
            if group.count(".") < 2 or group.endswith(".k8s.io"):
                continue
            checked += 1
            validator = jsonschema.Draft7Validator(schema(definition, version))
            for error in validator.iter_errors(resource):
                errors.append(f"{path}: {kind} {error.json_path}: {error.message}")
    if checked == 0:
        errors.append("no custom resource was found")
    sys.exit("\n".join(errors) or None)


def schema(definition, version):
    """Returns the schema of one version."""
    versions = yaml.safe_load(definition.read_text())["spec"]["versions"]
    found = next(item["schema"]["openAPIV3Schema"] for item in versions if item["name"] == version)
    # The definition says of it only that it is an object.
    found["properties"]["metadata"] = {"required": ["name", "namespace"]}
    return strict(found)


def strict(part):
    """Refuses fields that the schema doesn't name, in place."""
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            if not part.get("x-kubernetes-preserve-unknown-fields"):
                part.setdefault("additionalProperties", False)
        for item in part.values():
            strict(item)
    elif isinstance(part, list):
        for item in part:
            strict(item)
    return part


if __name__ == "__main__":
    main(*sys.argv[1:])
