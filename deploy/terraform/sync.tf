# The sync: its role with the least rights that do, its log, and the function.
locals {
  settings = {
    S3_BUCKET          = aws_s3_bucket.this.id
    S3_BUCKET_OWNER    = data.aws_caller_identity.current.account_id
    S3_PREFIX          = var.s3_prefix
    KEY_OPTIONS        = var.key_options
    SCOPE              = join(";", var.scope)
    KEY_SOURCES        = join(";", var.key_sources)
    TAG_PREFIX         = var.tag_prefix
    EXCLUDE            = join(";", var.exclude)
    MAX_SHRINK_USERS   = tostring(var.max_shrink_users)
    MAX_SHRINK_KEYS    = tostring(var.max_shrink_keys)
    MAX_SHRINK_GROUP   = tostring(var.max_shrink_group)
    SHRINK_FLOOR       = tostring(var.shrink_floor)
    IAM_MAX_RATE       = tostring(var.iam_max_rate)
    ACCOUNTS           = join(";", local.accounts)
    ACCOUNTS_IN_FLIGHT = length(local.accounts) > 0 ? tostring(var.accounts_in_flight) : ""
    ROLE_EXTERNAL_ID   = var.role_external_id
    METRICS_NAMESPACE  = var.metrics_namespace
  }
  set      = { for name, value in local.settings : name => value if value != "" }
  here     = var.include_own_account ? [data.aws_caller_identity.current.account_id] : []
  accounts = length(var.account_role_arns) > 0 ? concat(local.here, var.account_role_arns) : []
}

resource "aws_iam_role" "sync" {
  name = var.function_name

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "publish" {
  name = "publish"
  role = aws_iam_role.sync.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
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
        {
          Sid       = "ListDocuments"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = local.bucket_arn
          Condition = { StringLikeIfExists = { "s3:prefix" = local.published } }
        },
        {
          Sid      = "Publish"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
          Resource = [for key in local.published : "${local.bucket_arn}/${key}"]
        },
      ],
      [for arns in [var.account_role_arns] : {
        Sid      = "ReadOtherAccounts"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = arns
      } if length(arns) > 0],
    )
  })
}

resource "aws_iam_role_policy" "run" {
  name = "run"
  role = aws_iam_role.sync.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [for group in aws_cloudwatch_log_group.this : "${group.arn}:*"]
      }],
      [for queue in aws_sqs_queue.events : {
        Sid      = "TakeEvents"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        Resource = queue.arn
      }],
    )
  })
}

# Lambda writes to the groups of these names; made here, they end after some time.
resource "aws_cloudwatch_log_group" "this" {
  count = 1 + local.events

  name              = "/aws/lambda/${var.function_name}${count.index == 0 ? "" : "-events"}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "sync" {
  # Without its rights the first run would fail.
  depends_on = [aws_iam_role_policy.publish, aws_iam_role_policy.run]

  function_name                  = var.function_name
  role                           = aws_iam_role.sync.arn
  filename                       = var.zip
  source_code_hash               = filebase64sha256(var.zip)
  handler                        = "bootstrap"
  runtime                        = "provided.al2023"
  architectures                  = [var.architecture]
  memory_size                    = var.memory_size
  timeout                        = 900
  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = merge(local.set, { LEASE_WAIT = tostring(var.lease_wait) })
  }
}

# A run that failed is not tried again at once: the next start does what it left.
resource "aws_lambda_function_event_invoke_config" "sync" {
  function_name                = aws_lambda_function.sync.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 900
}
