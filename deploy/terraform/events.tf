# IAM events, optional: bus, rule, queue, and a function of its own. A queue must hide a message for at least as long as its
# function may run, and what IAM did not show at once is to be read again after two minutes, not after 15.
locals {
  events = var.enable_events ? 1 : 0
}

data "aws_cloudwatch_event_bus" "default" {
  name = "default"
}

resource "aws_lambda_function" "events" {
  count      = local.events
  depends_on = [aws_iam_role_policy.publish, aws_iam_role_policy.run]

  function_name    = "${var.function_name}-events"
  role             = aws_iam_role.sync.arn
  filename         = var.zip
  source_code_hash = filebase64sha256(var.zip)
  handler          = "bootstrap"
  runtime          = "provided.al2023"
  architectures    = [var.architecture]
  memory_size      = var.memory_size
  timeout          = 90

  environment {
    variables = merge(local.set, { LEASE_WAIT = "30" })
  }
}

resource "aws_lambda_event_source_mapping" "events" {
  count = local.events

  event_source_arn                   = aws_sqs_queue.events[0].arn
  function_name                      = aws_lambda_function.events[0].arn
  batch_size                         = 100
  maximum_batching_window_in_seconds = 5
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 2
  }
}

resource "aws_sqs_queue" "events" {
  count = local.events

  name                       = "${var.function_name}-events"
  sqs_managed_sse_enabled    = true
  delay_seconds              = 10
  visibility_timeout_seconds = 120
  message_retention_seconds  = 86400
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.events_dead[0].arn, maxReceiveCount = 20 })
}

resource "aws_sqs_queue" "events_dead" {
  count = local.events

  name                      = "${var.function_name}-events-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "events" {
  count     = local.events
  queue_url = aws_sqs_queue.events[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTheRuleSends"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.events[0].arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.iam[0].arn } }
    }]
  })
}

# IAM's events arise in us-east-1; the module events-us-east-1 forwards them to this Region's default bus.
resource "aws_cloudwatch_event_rule" "iam" {
  count = local.events

  name          = "${var.function_name}-iam"
  event_pattern = file("${path.module}/events-us-east-1/pattern.json")
}

resource "aws_cloudwatch_event_target" "queue" {
  count = local.events

  rule      = aws_cloudwatch_event_rule.iam[0].name
  target_id = "queue"
  arn       = aws_sqs_queue.events[0].arn
}

# The bus has one policy, and this is all of it: the provider has no resource for a single statement with such a condition.
resource "aws_cloudwatch_event_bus_policy" "accounts" {
  count = var.enable_events && length(var.event_account_ids) > 0 ? 1 : 0

  event_bus_name = data.aws_cloudwatch_event_bus.default.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "${var.function_name}-accounts"
      Effect    = "Allow"
      Principal = { AWS = [for id in var.event_account_ids : "arn:${data.aws_partition.current.partition}:iam::${id}:root"] }
      Action    = "events:PutEvents"
      Resource  = data.aws_cloudwatch_event_bus.default.arn
      Condition = { StringEquals = { "events:source" = "aws.iam", "events:detail-type" = "AWS API Call via CloudTrail" } }
    }]
  })
}
