# The sync's settings (docs/deploy.md says what they mean), events, alarms, and the instances' policy.
variable "key_options" {
  description = "KEY_OPTIONS: options for every published key."
  type        = string
  default     = ""
  nullable    = false
}

variable "scope" {
  description = "SCOPE: terms group:<name>, path:</prefix/>, tag:<key>, tag:<key>=<value>; empty: everybody."
  type        = list(string)
  default     = []
}

variable "key_sources" {
  description = "KEY_SOURCES: iam, tags, or both."
  type        = list(string)
  default     = ["iam"]

  validation {
    condition     = length(var.key_sources) > 0 && alltrue([for source in var.key_sources : contains(["iam", "tags"], source)])
    error_message = "One or both of iam and tags."
  }
}

variable "tag_prefix" {
  description = "TAG_PREFIX: what the tags that hold keys begin with."
  type        = string
  default     = "iam-ssh"
  nullable    = false
}

variable "exclude" {
  description = "EXCLUDE: who counts as deactivated; [\"none\"] switches it off."
  type        = list(string)
  default     = ["deny-all", "quarantine"]
}

variable "max_shrink_users" {
  description = "MAX_SHRINK_USERS: percent."
  type        = number
  default     = 20

  validation {
    condition     = var.max_shrink_users >= 0 && var.max_shrink_users <= 100
    error_message = "A percentage."
  }
}

variable "max_shrink_keys" {
  description = "MAX_SHRINK_KEYS: percent."
  type        = number
  default     = 20

  validation {
    condition     = var.max_shrink_keys >= 0 && var.max_shrink_keys <= 100
    error_message = "A percentage."
  }
}

variable "max_shrink_group" {
  description = "MAX_SHRINK_GROUP: percent."
  type        = number
  default     = 50

  validation {
    condition     = var.max_shrink_group >= 0 && var.max_shrink_group <= 100
    error_message = "A percentage."
  }
}

variable "shrink_floor" {
  description = "SHRINK_FLOOR: losses up to this number are always ordinary."
  type        = number
  default     = 4
}

variable "iam_max_rate" {
  description = "IAM_MAX_RATE: calls of IAM a second at most."
  type        = number
  default     = 50
}

variable "lease_wait" {
  description = "LEASE_WAIT: seconds that a run waits for another one."
  type        = number
  default     = 90

  validation {
    condition     = var.lease_wait >= 0 && var.lease_wait <= 600
    error_message = "From 0 to 600 seconds."
  }
}

variable "account_role_arns" {
  description = "ACCOUNTS: reader roles in other accounts."
  type        = list(string)
  default     = []
}

variable "include_own_account" {
  description = "With account_role_arns: whether this account is published as well."
  type        = bool
  default     = true
}

variable "accounts_in_flight" {
  description = "ACCOUNTS_IN_FLIGHT: how many accounts are read at once."
  type        = number
  default     = 4
}

variable "role_external_id" {
  description = "ROLE_EXTERNAL_ID: what the reader roles ask for."
  type        = string
  default     = ""
  nullable    = false
}

variable "metrics_namespace" {
  description = "METRICS_NAMESPACE: namespace of the metrics and alarms."
  type        = string
  default     = "iam-ssh"
  nullable    = false

  validation {
    condition = (
      can(regex("^[A-Za-z0-9._/#-][A-Za-z0-9._/#:-]{0,254}$", var.metrics_namespace)) &&
      !startswith(var.metrics_namespace, "AWS/")
    )
    error_message = "Up to 255 letters, digits and . _ / # : -, not beginning with a colon or AWS/."
  }
}

variable "enable_events" {
  description = "Whether to act on IAM events within seconds."
  type        = bool
  default     = false
}

variable "event_account_ids" {
  description = "Other accounts that may forward their IAM events. If there are any, the default bus's policy is replaced."
  type        = list(string)
  default     = []
}

variable "alarm_topic_arn" {
  description = "SNS topic that is told of alarms."
  type        = string
  default     = ""
  nullable    = false
}

variable "heartbeat_max_age" {
  description = "Seconds without a complete run after which the alarm is raised."
  type        = number
  default     = 1800

  validation {
    condition     = var.heartbeat_max_age >= 60 && var.heartbeat_max_age <= 86400 && var.heartbeat_max_age % 60 == 0
    error_message = "A multiple of 60, up to 86400."
  }
}

variable "instance_role_name" {
  description = "Role of the instances, for /IAM/<role>/principals; may hold * for several; empty: no parameter."
  type        = string
  default     = ""
  nullable    = false
}
