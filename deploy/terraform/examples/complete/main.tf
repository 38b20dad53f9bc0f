# Everything at once: the sync in eu-central-1, IAM events forwarded from us-east-1, alarms, and the instances' policy.
terraform {
  required_version = ">= 1.3"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "zip" {
  description = "Path of the sync's zip, as `make lambda` made it."
  type        = string
}

provider "aws" {
  region = "eu-central-1"
}

provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"
}

module "iam_ssh" {
  source = "../.."

  bucket_name            = "company-iam"
  zip                    = var.zip
  reader_organization_id = "o-exampleorgid"
  instance_role_name     = "web-server"
  enable_events          = true
  event_account_ids      = ["111122223333"]
}

module "forward_events" {
  source    = "../../events-us-east-1"
  providers = { aws = aws.us_east_1 }

  event_bus_arn = module.iam_ssh.event_bus_arn
}

output "instance_policy_arn" {
  description = "To attach to the roles of instances."
  value       = module.iam_ssh.instance_policy_arn
}
