"""Takes what `deploy/aws/bellhop.tf` may say out of the typings of Terraform's AWS provider: makes `provider_aws.json`.

    python3 tests/deployment/provider_aws.py > tests/deployment/provider_aws.json

The provider itself comes from a registry of its own; its typings are a package of npm (`@cdktf/provider-aws`, 37 MB, 392 MB unpacked),
so what is needed of them is kept here and made anew by hand when the version below is raised.
"""

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@cdktf/provider-aws"
VERSION = "21.22.1"
# As npm publishes it.
INTEGRITY = "sha512-BuSHeaQFUL9l33pBzIMRT7cTQ69AM2mLtijjteCPhVQRmvuhuj9Lvfymf7knAMhYqAT6+Lrls9jiGVW/Us3zrQ=="

RESOURCES = [
    "aws_chime_voice_connector",
    "aws_chime_voice_connector_origination",
    "aws_connect_contact_flow",
    "aws_connect_phone_number",
    "aws_connect_phone_number_contact_flow_association",
    "aws_iam_role",
    "aws_iam_role_policy",
    "aws_iam_user",
    "aws_iam_user_policy",
]
DATA = ["aws_connect_queue"]


def snake(camel):
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), camel)


def interface(text, name):
    """The properties of an interface: name, whether it is required, its type."""
    body = re.search(rf"export interface {name}(?: extends [\w.]+)? \{{\n(.*?)\n\}}", text, re.S)
    if body is None:
        sys.exit(f"there is no interface {name}")
    for prop, optional, kind in re.findall(r"readonly (\w+)(\??): (.*?);\n", body[1] + "\n", re.S):
        yield prop, optional == "", " ".join(kind.split())


def block(text, name):
    arguments, blocks = {}, {}
    for prop, required, kind in interface(text, name):
        inner = re.match(r"(\w+)(\[\])?( \||$)", kind)
        plain = {"string": "string", "number": "number", "boolean": "bool"}.get(inner[1] if inner else "")
        if inner and plain and not inner[2]:
            arguments[snake(prop)] = {"type": plain, "required": required}
        elif inner and not plain:
            blocks[snake(prop)] = {"required": required, **block(text, inner[1])}
        else:
            arguments[snake(prop)] = {"type": "collection", "required": required}
    return {"arguments": arguments, "blocks": blocks}


def declared(tar, kind, folder_prefix):
    folder = folder_prefix + kind.removeprefix("aws_").replace("_", "-")
    text = tar.extractfile(f"package/lib/{folder}/index.d.ts").read().decode()
    config = re.search(r"export interface (\w+Config) extends", text)[1]
    own = text[text.index(f"export declare class {re.sub('Config$', '', config)} extends"):]
    attributes = sorted({snake(name) for name in re.findall(r"\n    get (\w+)\(\)", own) if not name.endswith("Input")})
    return {**block(text, config), "attributes": attributes}


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        packed = next(Path(folder).iterdir()).read_bytes()
    if "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode() != INTEGRITY:
        sys.exit("the package is not the one that was looked at")
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        made = {
            "package": PACKAGE,
            "version": VERSION,
            "integrity": INTEGRITY,
            "resource": {kind: declared(tar, kind, "") for kind in RESOURCES},
            "data": {kind: declared(tar, kind, "data-aws-") for kind in DATA},
        }
    print(json.dumps(made, indent=1))


main()
