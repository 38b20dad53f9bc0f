# When the sync runs. What could not even be started lands in a queue of dead letters.
resource "aws_sqs_queue" "dead" {
  name                      = "${var.function_name}-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_iam_role" "schedule" {
  name = "${var.function_name}-schedule"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  name = "start"
  role = aws_iam_role.schedule.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Start", Effect = "Allow", Action = "lambda:InvokeFunction", Resource = aws_lambda_function.sync.arn },
      { Sid = "HandOverFailures", Effect = "Allow", Action = "sqs:SendMessage", Resource = aws_sqs_queue.dead.arn },
    ]
  })
}

resource "aws_scheduler_schedule" "this" {
  name                = var.function_name
  schedule_expression = var.schedule_expression

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.sync.arn
    role_arn = aws_iam_role.schedule.arn

    retry_policy {
      maximum_retry_attempts       = var.schedule_retries
      maximum_event_age_in_seconds = 300
    }

    dead_letter_config {
      arn = aws_sqs_queue.dead.arn
    }
  }
}
