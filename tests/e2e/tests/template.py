#!/usr/bin/env python3
"""Prints what a CloudFormation template of deploy/sam becomes for given parameters, as JSON: the resources that exist, every function
resolved, attributes written out as AWS forms them. Usage: template.py FILE [PARAMETER=VALUE]... It knows the functions that these
templates use, and stops at any other."""

import json
import re
import sys

import yaml

PSEUDO = {"AWS::AccountId": "123456789012", "AWS::Region": "eu-central-1", "AWS::Partition": "aws", "AWS::StackName": "iam-ssh"}
NOTHING = object()


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        value = value.split(".", 1) if suffix == "GetAtt" else value
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)


def check(name, declared, value):
    """Refuses what CloudFormation would."""
    if not re.fullmatch(declared.get("AllowedPattern", "(?s:.*)"), value):
        sys.exit(f"{name}: {value!r} does not fit")
    if declared["Type"] != "Number":
        return
    if not declared.get("MinValue", int(value)) <= int(value) <= declared.get("MaxValue", int(value)):
        sys.exit(f"{name}: {value} is out of range")


class Template:
    def __init__(self, path, given):
        with open(path, encoding="utf-8") as file:
            self.document = yaml.load(file, Loader)
        self.parameters = {}
        for name, declared in self.document["Parameters"].items():
            value = given.pop(name, declared.get("Default"))
            if value is None:
                sys.exit(f"{name} is needed")
            value = str(value)
            check(name, declared, value)
            self.parameters[name] = value.split(",") if declared["Type"] == "CommaDelimitedList" else value
        if given:
            sys.exit(f"no such parameters: {given}")

    def condition(self, name):
        return self.resolve(self.document["Conditions"][name])

    def attribute(self, name, attribute):
        kind = self.document["Resources"][name]["Type"]
        given = self.document["Resources"][name]["Properties"]
        here = f"{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}"
        forms = {
            ("AWS::S3::Bucket", "Arn"): ("arn:aws:s3:::", "BucketName"),
            ("AWS::IAM::Role", "Arn"): (f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:role/", "RoleName"),
            ("AWS::SQS::Queue", "Arn"): (f"arn:aws:sqs:{here}:", "QueueName"),
            ("AWS::SQS::Queue", "QueueName"): ("", "QueueName"),
            ("AWS::Serverless::Function", "Arn"): (f"arn:aws:lambda:{here}:function:", "FunctionName"),
            ("AWS::Logs::LogGroup", "Arn"): (f"arn:aws:logs:{here}:log-group:", "LogGroupName"),
            ("AWS::Events::Rule", "Arn"): (f"arn:aws:events:{here}:rule/", "Name"),
        }
        before, field = forms[kind, attribute]
        return before + self.resolve(given[field]) + (":*" if kind == "AWS::Logs::LogGroup" else "")

    def reference(self, name):
        if name == "AWS::NoValue":
            return NOTHING
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        given = self.document["Resources"][name]["Properties"]
        return self.resolve(next(given[field] for field in ("BucketName", "FunctionName", "QueueName") if field in given))

    def substitute(self, text, more):
        def value(found):
            name = found.group(1)
            if name in more:
                return self.resolve(more[name])
            return self.attribute(*name.split(".", 1)) if "." in name else self.reference(name)

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def resolve(self, value):
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return self.reference(argument)
            if name == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if name.startswith("Fn::"):
                return self.function(name, argument)
        resolved = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item is not NOTHING}

    def function(self, name, argument):
        if name == "Fn::If":
            return self.resolve(argument[1] if self.condition(argument[0]) else argument[2])
        if name == "Fn::Sub":
            return self.substitute(*argument) if isinstance(argument, list) else self.substitute(argument, {})
        if name == "Fn::GetAtt":
            return self.attribute(*argument)
        argument = self.resolve(argument)
        if name == "Fn::Join":
            return argument[0].join(argument[1])
        if name == "Fn::Equals":
            return str(argument[0]) == str(argument[1])
        if name in ("Fn::And", "Fn::Or"):
            return (all if name == "Fn::And" else any)(argument)
        if name == "Fn::Not":
            return not argument[0]
        sys.exit(f"what is {name}?")

    def resources(self):
        everything = self.document["Resources"].items()
        there = {name: item for name, item in everything if "Condition" not in item or self.condition(item["Condition"])}
        settings = self.document.get("Globals", {}).get("Function", {})
        for item in there.values():
            if item["Type"] == "AWS::Serverless::Function":
                own = item["Properties"]["Environment"]["Variables"]
                item["Properties"] = settings | item["Properties"]
                item["Properties"]["Environment"] = {"Variables": settings["Environment"]["Variables"] | own}
        return {name: self.resolve({"Type": item["Type"], "Properties": item["Properties"]}) for name, item in there.items()}


print(json.dumps(Template(sys.argv[1], dict(word.split("=", 1) for word in sys.argv[2:])).resources()))
