# Forwards IAM's events to the event bus of the sync. They arise in us-east-1 only, so its provider is one for us-east-1, in each
# account whose IAM users are published; not where the sync itself runs in us-east-1 in the same account. A trail of CloudTrail
# must log there.
terraform {
  required_version = ">= 1.3"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "event_bus_arn" {
  description = "Output event_bus_arn of the sync's module."
  type        = string
}

variable "name" {
  description = "Name of rule and role."
  type        = string
  default     = "iam-ssh-forward-events"
}

data "aws_caller_identity" "current" {}

resource "aws_cloudwatch_event_rule" "iam" {
  name          = var.name
  event_pattern = file("${path.module}/pattern.json")
}

resource "aws_cloudwatch_event_target" "bus" {
  rule      = aws_cloudwatch_event_rule.iam.name
  target_id = "bus"
  arn       = var.event_bus_arn
  role_arn  = aws_iam_role.forward.arn
}

resource "aws_iam_role" "forward" {
  name = var.name

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "forward" {
  name = "forward"
  role = aws_iam_role.forward.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "Forward", Effect = "Allow", Action = "events:PutEvents", Resource = var.event_bus_arn }]
  })
}
