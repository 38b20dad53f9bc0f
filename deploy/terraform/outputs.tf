# What other parts of a deployment need to know.
output "bucket_name" {
  description = "For `bucket` in the instances' config.toml."
  value       = aws_s3_bucket.this.id
}

output "function_name" {
  description = "To invoke by hand: a dry run, a confirmation."
  value       = aws_lambda_function.sync.function_name
}

output "sync_role_arn" {
  description = "For the reader roles of other accounts."
  value       = aws_iam_role.sync.arn
}

output "instance_policy_arn" {
  description = "To attach to the roles of instances in this account."
  value       = aws_iam_policy.instance.arn
}

output "event_bus_arn" {
  description = "Where the module events-us-east-1 forwards to."
  value       = data.aws_cloudwatch_event_bus.default.arn
}
