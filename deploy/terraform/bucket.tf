# The bucket: versioned, encrypted by S3, never public, written by nobody but the sync, readable for the documents alone.
locals {
  # With several accounts each one has a prefix of its own, its number; the documents of one stay readable for all instances that do
  # not have such a prefix yet.
  root       = "${var.s3_prefix}${length(var.account_role_arns) > 0 ? "????????????/" : ""}"
  bucket_arn = aws_s3_bucket.this.arn
  documents  = [for key in setproduct(distinct([var.s3_prefix, local.root]), ["users/*", "groups/*"]) : join("", key)]
  published  = [for folder in ["users", "groups", "iam-ssh"] : "${local.root}${folder}/*"]
  # Accounts by their root, which stands for whoever their own policies allow.
  roots        = [for id in var.reader_account_ids : "arn:${data.aws_partition.current.partition}:iam::${id}:root"]
  readers      = var.reader_organization_id != "" || length(var.reader_account_ids) > 0
  reader       = jsondecode(var.reader_organization_id != "" ? jsonencode("*") : jsonencode({ AWS = local.roots }))
  in_the_org   = var.reader_organization_id != "" ? { StringEquals = { "aws:PrincipalOrgID" = var.reader_organization_id } } : {}
  but_the_sync = { ArnNotEquals = { "aws:PrincipalArn" = aws_iam_role.sync.arn } }
}

resource "aws_s3_bucket" "this" {
  bucket        = var.bucket_name
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  # Only a versioned bucket has old versions.
  depends_on = [aws_s3_bucket_versioning.this]
  bucket     = aws_s3_bucket.this.id

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {}

    expiration {
      expired_object_delete_marker = true
    }

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_version_days
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  # A policy for other accounts is refused while it could be taken for a public one.
  depends_on = [aws_s3_bucket_public_access_block.this]
  bucket     = aws_s3_bucket.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for statement in [
        merge({
          Sid       = "ReadersReadDocuments"
          Effect    = "Allow"
          Principal = local.reader
          Action    = "s3:GetObject"
          Resource  = [for key in local.documents : "${local.bucket_arn}/${key}"]
        }, { for condition in [local.in_the_org] : "Condition" => condition if length(condition) > 0 }),
        {
          Sid       = "ReadersTellMissingFromDenied"
          Effect    = "Allow"
          Principal = local.reader
          Action    = "s3:ListBucket"
          Resource  = local.bucket_arn
          Condition = merge(local.in_the_org, { StringLikeIfExists = { "s3:prefix" = local.documents } })
        },
      ] : statement if local.readers],
      [
        {
          Sid       = "OnlyTheSyncWrites"
          Effect    = "Deny"
          Principal = "*"
          Action = [
            "s3:PutObject",
            "s3:PutObjectAcl",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:ReplicateObject",
            "s3:ReplicateDelete",
            "s3:RestoreObject",
          ]
          Resource  = "${local.bucket_arn}/*"
          Condition = local.but_the_sync
        },
        {
          Sid       = "OnlyTheSyncReadsItsMemory"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:GetObject", "s3:GetObjectVersion"]
          Resource  = [for name in ["state*", "lease*"] : "${local.bucket_arn}/${local.root}iam-ssh/${name}"]
          Condition = local.but_the_sync
        },
        {
          Sid       = "OnlyOverTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ],
    )
  })
}
