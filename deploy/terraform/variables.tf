# Bucket, function and schedule. The sync's own settings are in variables-sync.tf.
variable "bucket_name" {
  description = "Name of the bucket; it is created."
  type        = string
}

variable "s3_prefix" {
  description = "Key prefix inside the bucket, empty or ending with a slash."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition = (
      can(regex("^([A-Za-z0-9_.=+,@-]+/)*$", var.s3_prefix)) &&
      alltrue([for part in split("/", var.s3_prefix) : !contains([".", ".."], part)])
    )
    error_message = "The prefix is empty or ends with a slash, does not begin with one, and holds no part that is . or .."
  }
}

variable "force_destroy" {
  description = "Whether destroying the bucket destroys what is in it."
  type        = bool
  default     = false
}

variable "reader_organization_id" {
  description = "Organization whose accounts may read the documents."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(|o-[a-z0-9]+)$", var.reader_organization_id))
    error_message = "An organization id begins with o-."
  }
}

variable "reader_account_ids" {
  description = "Accounts that may read the documents besides this one; not together with reader_organization_id."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.reader_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "An account id has 12 digits."
  }
}

variable "noncurrent_version_days" {
  description = "How many days replaced versions of documents are kept."
  type        = number
  default     = 90
}

variable "function_name" {
  description = "Name of the function, its role and its alarms."
  type        = string
  default     = "iam-ssh-sync"
  nullable    = false
}

variable "zip" {
  description = "Path of the sync's zip, as `make lambda` or `make lambda-arm64` made it."
  type        = string
}

variable "architecture" {
  description = "What the zip was built for."
  type        = string
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "Either x86_64 or arm64."
  }
}

variable "memory_size" {
  description = "MB of the function."
  type        = number
  default     = 256
}

variable "reserved_concurrency" {
  description = "Reserved concurrency of the function; -1: none."
  type        = number
  default     = -1
}

variable "schedule_expression" {
  description = "When the sync runs."
  type        = string
  default     = "rate(5 minutes)"
  nullable    = false
}

variable "schedule_retries" {
  description = "How often a start that Lambda did not take is tried again."
  type        = number
  default     = 2

  validation {
    condition     = var.schedule_retries >= 0 && var.schedule_retries <= 2
    error_message = "From 0 to 2."
  }
}

variable "log_retention_days" {
  description = "How many days the log is kept."
  type        = number
  default     = 90
}
