"""Resolves a template of CloudFormation as a stack would: its parameters, conditions, resources and outputs, as JSON.

    cloudformation.py FILE PARAMETERS        PARAMETERS: JSON, in place of defaults

Of the functions those are here that `deploy/aws/cloudformation.yaml` uses; another ends this. What resources are called once they
are made stands in `MADE`.
"""

import json
import re
import sys

import yaml

MADE = {
    "VoiceConnector": {"VoiceConnectorId": "connector000000000000", "VoiceConnectorArn": "arn:aws:chime:eu-west-2:111122223333:vc/v1"},
    "ContactFlow": {"ContactFlowArn": "arn:aws:connect:eu-west-2:111122223333:instance/i1/contact-flow/flow-0"},
    "PhoneNumber": {"PhoneNumberArn": "arn:aws:connect:eu-west-2:111122223333:phone-number/number-0", "Address": "+12065550177"},
    "User": {"Ref": "stack-User-1"},
    "Role": {"Arn": "arn:aws:iam::111122223333:role/stack-Role-1"},
}


class Loader(yaml.SafeLoader):
    """Takes `!Sub x` as `{"Fn::Sub": x}`."""


def tagged(loader, suffix, node):
    construct = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence}
    if type(node) in construct:
        kind = construct[type(node)]
        value = kind(node) if type(node) is yaml.ScalarNode else kind(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", tagged)


class Stack:
    def __init__(self, template, given):
        declared = template["Parameters"]
        self.values = {name: given.get(name, one.get("Default")) for name, one in declared.items()}
        self.values["AWS::Region"] = "eu-west-2"
        self.template = template
        for name, one in declared.items():
            value = self.values[name]
            if value is None or not re.search(one.get("AllowedPattern", ""), str(value)):
                sys.exit(f"parameter {name}: {one.get('ConstraintDescription', 'is missing')}")
            if "AllowedValues" in one and value not in one["AllowedValues"]:
                sys.exit(f"parameter {name}: none of {one['AllowedValues']}")

    def condition(self, name):
        return self.resolved(self.template["Conditions"][name])

    def reference(self, name, own=None):
        if own and name in own:
            return self.resolved(own[name])
        resource, _, attribute = name.partition(".")
        if attribute:
            return MADE[resource][attribute]
        return MADE[name]["Ref"] if name in MADE else self.values[name]

    def sub(self, argument):
        text, own = argument if isinstance(argument, list) else (argument, None)
        put = re.sub(r"\$\{([^!}][^}]*)\}", lambda found: str(self.reference(found[1], own)), text)
        return put.replace("${!", "${")

    def resolved(self, value):
        if isinstance(value, list):
            return [self.resolved(one) for one in value]
        if not isinstance(value, dict):
            return value
        if len(value) != 1 or not next(iter(value)).startswith(("Fn::", "Ref")):
            return {name: self.resolved(one) for name, one in value.items()}
        (function, argument), = value.items()
        if function == "Fn::Sub":
            return self.sub(argument)
        if function == "Fn::If":
            return self.resolved(argument[1 if self.condition(argument[0]) else 2])
        argument = self.resolved(argument)
        return {
            "Ref": lambda: self.reference(argument),
            "Fn::GetAtt": lambda: self.reference(argument),
            "Fn::Equals": lambda: str(argument[0]) == str(argument[1]),
            "Fn::Not": lambda: not argument[0],
            "Fn::Join": lambda: argument[0].join(argument[1]),
            "Fn::Select": lambda: argument[1][int(argument[0])],
            "Fn::Split": lambda: argument[1].split(argument[0]),
        }[function]()

    def section(self, name):
        there = {key: one for key, one in self.template[name].items() if "Condition" not in one or self.condition(one["Condition"])}
        return {key: self.resolved({inner: what for inner, what in one.items() if inner != "Condition"}) for key, one in there.items()}


def main():
    with open(sys.argv[1]) as file:
        template = yaml.load(file, Loader)
    if sys.argv[2] == "--values":
        print(json.dumps({name: one.get("Default") for name, one in template["Parameters"].items()}))
        return
    stack = Stack(template, json.loads(sys.argv[2]))
    outputs = {name: one["Value"] for name, one in stack.section("Outputs").items()}
    print(json.dumps({"resources": stack.section("Resources"), "outputs": outputs}))


main()
