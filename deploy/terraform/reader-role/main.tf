# The role by which the sync reads the IAM users of a further account. Its provider is that account's; its ARN then stands in the
# variable account_role_arns of the sync's module.
terraform {
  required_version = ">= 1.3"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "sync_role_arn" {
  description = "Output sync_role_arn of the sync's module."
  type        = string
}

variable "external_id" {
  description = "What the sync must say as well, its role_external_id."
  type        = string
  default     = ""
}

variable "role_name" {
  description = "Name of this role."
  type        = string
  default     = "iam-ssh-reader"
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

resource "aws_iam_role" "this" {
  name = var.role_name

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(
      { Effect = "Allow", Principal = { AWS = var.sync_role_arn }, Action = "sts:AssumeRole" },
      { for id in [var.external_id] : "Condition" => { StringEquals = { "sts:ExternalId" = id } } if id != "" },
    )]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "read"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadAccount"
        Effect   = "Allow"
        Action   = "iam:GetAccountAuthorizationDetails"
        Resource = "*"
      },
      {
        Sid    = "ReadUsers"
        Effect = "Allow"
        Action = [
          "iam:ListSSHPublicKeys",
          "iam:GetSSHPublicKey",
          "iam:GetUser",
          "iam:ListGroupsForUser",
          "iam:ListAttachedUserPolicies",
          "iam:ListUserPolicies",
          "iam:GetUserPolicy",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:user/*"
      },
    ]
  })
}

output "role_arn" {
  description = "For account_role_arns of the sync's module."
  value       = aws_iam_role.this.arn
}
