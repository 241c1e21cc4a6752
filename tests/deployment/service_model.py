"""Takes what the stand-in of Amazon's services is asked by `deploy/aws/bellhop.sh` out of the AWS command line's own models of them.

    target/deployment/bin/python tests/deployment/service_model.py > src/rehearsal/connect/service_model.json

Of each operation: by which method and path, and what its input must be (members, required ones, bounds, enumerations, patterns).
Made anew by hand when the version in `requirements.txt` is raised.
"""

import gzip
import json
from pathlib import Path

import awscli

OPERATIONS = {
    "chime-sdk-voice": [
        "CreateVoiceConnector",
        "GetVoiceConnector",
        "ListVoiceConnectors",
        "PutVoiceConnectorOrigination",
        "UpdateVoiceConnector",
    ],
    "connect": [
        "AssociateApprovedOrigin",
        "AssociatePhoneNumberContactFlow",
        "ClaimPhoneNumber",
        "CreateContactFlow",
        "DescribePhoneNumber",
        "ListApprovedOrigins",
        "ListContactFlows",
        "ListPhoneNumbersV2",
        "ListQueues",
        "SearchAvailablePhoneNumbers",
        "UpdateContactFlowContent",
    ],
    "iam": [
        "CreateAccessKey",
        "CreateRole",
        "CreateUser",
        "GetRole",
        "GetUser",
        "ListAccessKeys",
        "PutRolePolicy",
        "PutUserPolicy",
        "UpdateAssumeRolePolicy",
    ],
}
KEPT = ("type", "min", "max", "pattern", "enum")


def model_of(service):
    folder = Path(awscli.__file__).parent / "botocore" / "data" / service
    file = sorted(folder.glob("*/service-2.json*"))[-1]
    opened = gzip.open(file) if file.suffix == ".gz" else open(file, "rb")
    with opened:
        return json.load(opened)


def shape(model, name):
    known = model["shapes"][name]
    made = {key: known[key] for key in KEPT if key in known}
    if "pattern" in made:
        # Some are escaped twice.
        made["pattern"] = made["pattern"].replace("\\\\", "\\")
    if known["type"] == "structure":
        made["required"] = known.get("required", [])
        made["members"] = {}
        for member, of in known["members"].items():
            made["members"][member] = shape(model, of["shape"])
            if "location" in of:
                made["members"][member]["in"] = [of["location"], of["locationName"]]
    if known["type"] == "list":
        made["member"] = shape(model, known["member"]["shape"])
    if known["type"] == "map":
        made["value"] = shape(model, known["value"]["shape"])
    return made


def main():
    made = {"from": f"awscli {awscli.__version__}", "operations": []}
    for service, names in OPERATIONS.items():
        model = model_of(service)
        for name in names:
            operation = model["operations"][name]
            made["operations"].append({
                "name": name,
                "service": model["metadata"].get("signingName", service),
                "method": operation["http"]["method"],
                "path": operation["http"]["requestUri"],
                "version": model["metadata"]["apiVersion"],
                "status": operation["http"].get("responseCode", 200),
                "input": shape(model, operation["input"]["shape"]),
            })
    print(json.dumps(made, indent=1, ensure_ascii=False))


main()
