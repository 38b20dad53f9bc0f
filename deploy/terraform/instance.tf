# What an instance with iam-ssh may do: a policy to attach to the roles of instances in this account.
resource "aws_iam_policy" "instance" {
  name = "${var.function_name}-instance"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "ReadDocuments"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = [for key in local.documents : "${local.bucket_arn}/${key}"]
        },
        {
          Sid       = "TellMissingFromDenied"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = local.bucket_arn
          Condition = { StringLikeIfExists = { "s3:prefix" = local.documents } }
        },
      ],
      [for arn in local.parameter_arns : {
        Sid      = "ReadPrincipals"
        Effect   = "Allow"
        Action   = "ssm:GetParameter"
        Resource = arn
      }],
    )
  })
}

locals {
  account        = "${data.aws_partition.current.partition}:ssm:*:${data.aws_caller_identity.current.account_id}"
  parameter_arns = var.instance_role_name != "" ? ["arn:${local.account}:parameter/IAM/${var.instance_role_name}/principals"] : []
}
