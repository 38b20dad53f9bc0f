# Alarms. Where no run said anything new, Failed and Refused stay as they are; silence itself is what the heartbeat's alarm is for.
locals {
  bucket_dimension = { Bucket = aws_s3_bucket.this.id }
  depth            = "ApproximateNumberOfMessagesVisible"
  alarms = merge(
    {
      errors = {
        description = "The sync ended with an error; see its log", namespace = "AWS/Lambda", metric = "Errors"
        dimensions  = { FunctionName = aws_lambda_function.sync.function_name }, statistic = "Sum", missing = "notBreaching"
      }
      failed = {
        description = "A run of the sync failed; see its log", namespace = var.metrics_namespace, metric = "Failed"
        dimensions  = local.bucket_dimension, statistic = "Maximum", missing = "ignore"
      }
      refused = {
        description = "A suspiciously large withdrawal waits to be confirmed", namespace = var.metrics_namespace
        metric      = "Refused", dimensions = local.bucket_dimension, statistic = "Maximum", missing = "ignore"
      }
      heartbeat = {
        description = "No complete run of the sync for too long", namespace = var.metrics_namespace, metric = "HeartbeatAge"
        dimensions  = local.bucket_dimension, statistic = "Maximum", missing = "breaching"
      }
      dead = {
        description = "A start of the sync came to nothing; see the queue", namespace = "AWS/SQS", metric = local.depth
        dimensions  = { QueueName = aws_sqs_queue.dead.name }, statistic = "Maximum", missing = "notBreaching"
      }
    },
    { for name in aws_lambda_function.events[*].function_name : "event-errors" => {
      description = "The sync ended with an error at an IAM event", namespace = "AWS/Lambda", metric = "Errors"
      dimensions  = { FunctionName = name }, statistic = "Sum", missing = "notBreaching"
    } },
    { for name in aws_sqs_queue.events_dead[*].name : "events-dead" => {
      description = "IAM events were not handled; see the queue", namespace = "AWS/SQS", metric = local.depth
      dimensions  = { QueueName = name }, statistic = "Maximum", missing = "notBreaching"
    } },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.function_name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.key == "heartbeat" ? var.heartbeat_max_age : 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.key == "heartbeat" ? var.heartbeat_max_age : 0
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarm_topic_arn != "" ? [var.alarm_topic_arn] : []
  ok_actions          = var.alarm_topic_arn != "" ? [var.alarm_topic_arn] : []
}
