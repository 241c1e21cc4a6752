# The Amazon side of a phone line of Bellhop: a Voice Connector that leads to it, the contact flow, a phone number, and whoever
# may write what a hand-off writes. deploy/aws/README.md of Bellhop says how it is used.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

variable "name" {
  description = "What everything that is made is called; letters, digits, blanks, dots, dashes and low lines."
  type        = string
  default     = "bellhop"

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9 _.-]{0,49}$", var.name))
    error_message = "The name has 1 to 50 letters, digits, blanks, dots, dashes and low lines, a letter or digit first."
  }
}

variable "instance_arn" {
  description = "The ARN of the Amazon Connect instance."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[-a-z]*:connect:[-a-z0-9]+:[0-9]{12}:instance/[-a-zA-Z0-9]{1,100}$", var.instance_arn))
    error_message = "The instance's ARN is arn:aws:connect:REGION:ACCOUNT:instance/ID."
  }
}

variable "sip_host" {
  description = "The name at which Bellhop takes calls: Host on its page SIP address."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9.-]{1,253}$", var.sip_host))
    error_message = "The host is a name or an IPv4 address."
  }
}

variable "sip_port" {
  description = "The port at which Bellhop takes calls."
  type        = number
  default     = 5061

  validation {
    condition     = var.sip_port >= 1 && var.sip_port <= 65535 && floor(var.sip_port) == var.sip_port
    error_message = "A port is a number from 1 to 65535."
  }
}

variable "encrypted" {
  description = "Whether calls come by TLS with SRTP. Bellhop needs a certificate for its name then, of an authority that AWS trusts."
  type        = bool
  default     = true
}

variable "screen_pop_url" {
  description = "The agents' page of Bellhop up to session_history_key, without an equals sign."
  type        = string

  validation {
    condition     = can(regex("^https?://[^\\s\"\\\\]{1,1000}$", var.screen_pop_url))
    error_message = "The agents' page is https://…/loadAgentAppFrame.html?session_history_key."
  }
}

variable "queue_arn" {
  description = "The ARN of the queue that agents work on; if it is left out, queue_name says which."
  type        = string
  default     = null

  validation {
    condition     = var.queue_arn == null || can(regex("^arn:aws[-a-z]*:connect:[-a-z0-9]+:[0-9]{12}:instance/[-a-zA-Z0-9]+/queue/[-a-zA-Z0-9]+$", var.queue_arn))
    error_message = "The queue's ARN is arn:aws:connect:REGION:ACCOUNT:instance/ID/queue/ID."
  }
}

variable "queue_name" {
  description = "The name of the queue that agents work on, where its ARN is left out."
  type        = string
  default     = "BasicQueue"
}

variable "phone_number_id" {
  description = "The id of a phone number that the instance has already; if it is left out, one is claimed."
  type        = string
  default     = null
}

variable "phone_number_country" {
  description = "The country of the number that is claimed: two letters of ISO 3166."
  type        = string
  default     = "US"

  validation {
    condition     = can(regex("^[A-Z]{2}$", var.phone_number_country))
    error_message = "A country is two capital letters, such as US or GB."
  }
}

variable "phone_number_type" {
  description = "The type of the number that is claimed: DID or TOLL_FREE."
  type        = string
  default     = "DID"

  validation {
    condition     = contains(["DID", "TOLL_FREE"], var.phone_number_type)
    error_message = "The type is DID or TOLL_FREE."
  }
}

variable "access" {
  description = "What Bellhop signs with: user (an IAM user, whose key you make), role (it assumes one), or none (it has a key or a role already)."
  type        = string
  default     = "user"

  validation {
    condition     = contains(["user", "role", "none"], var.access)
    error_message = "The access is user, role or none."
  }
}

variable "trusted_principal_arn" {
  description = "Of a role: whom it trusts. Whoever runs Bellhop tells it."
  type        = string
  default     = null
}

variable "external_id" {
  description = "Of a role: the external id that Bellhop shows."
  type        = string
  default     = null
}

provider "aws" {
  region = local.region
}

locals {
  region      = split(":", var.instance_arn)[3]
  instance_id = split("/", var.instance_arn)[1]
  iam_name    = replace(var.name, " ", "-")
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "connect:UpdateContactAttributes"
      Resource = "${var.instance_arn}/contact/*"
    }]
  })
}

resource "aws_chime_voice_connector" "bellhop" {
  name               = var.name
  aws_region         = local.region
  require_encryption = var.encrypted
}

resource "aws_chime_voice_connector_origination" "bellhop" {
  voice_connector_id = aws_chime_voice_connector.bellhop.id
  disabled           = false

  route {
    host     = var.sip_host
    port     = var.sip_port
    protocol = "TCP"
    priority = 1
    weight   = 5
  }
}

data "aws_connect_queue" "agents" {
  instance_id = local.instance_id
  queue_id    = var.queue_arn == null ? null : split("/", var.queue_arn)[3]
  name        = var.queue_arn == null ? var.queue_name : null
}

resource "aws_connect_contact_flow" "bellhop" {
  instance_id = local.instance_id
  name        = var.name
  description = "Hands callers over to Bellhop, and from there to agents."
  type        = "CONTACT_FLOW"
  content     = <<-FLOW
    {"Version":"2019-10-30","StartAction":"log","Metadata":{"ActionMetadata":{"check":{"position":{"x":940,"y":20}},"clear":{"position":{"x":420,"y":20}},"hangup":{"position":{"x":940,"y":460}},"log":{"position":{"x":160,"y":20}},"say_error":{"position":{"x":420,"y":460}},"say_failed":{"position":{"x":940,"y":240}},"say_full":{"position":{"x":680,"y":460}},"say_late":{"position":{"x":160,"y":460}},"screen_pop":{"position":{"x":160,"y":240}},"set_queue":{"position":{"x":420,"y":240}},"to_queue":{"position":{"x":680,"y":240}},"transfer":{"position":{"x":680,"y":20}}},"entryPointPosition":{"x":20,"y":20}},
    "Actions":[
    {"Identifier":"log","Parameters":{"FlowLoggingBehavior":"Enabled"},"Transitions":{"NextAction":"clear"},"Type":"UpdateFlowLoggingBehavior"},
    {"Identifier":"clear","Parameters":{"Attributes":{"SessionHistoryKey":""},"TargetContact":"Current"},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"transfer"}],"NextAction":"transfer"},"Type":"UpdateContactAttributes"},
    {"Identifier":"transfer","Parameters":{"ContinueFlowExecution":"True","ThirdPartyConnectionTimeLimitSeconds":"60","VoiceConnector":{"FromUser":"$.CustomerEndpoint.Address","ToUser":"$.SystemEndpoint.Address","UserToUserInformation":"$.InstanceARN","VoiceConnectorArn":${jsonencode(aws_chime_voice_connector.bellhop.arn)},"VoiceConnectorType":"ChimeConnector"}},"Transitions":{"Errors":[{"ErrorType":"CallFailed","NextAction":"say_failed"},{"ErrorType":"ConnectionTimeLimitExceeded","NextAction":"say_late"},{"ErrorType":"NoMatchingError","NextAction":"say_error"}],"NextAction":"check"},"Type":"TransferParticipantToThirdParty"},
    {"Identifier":"check","Parameters":{"ComparisonValue":"$.Attributes.SessionHistoryKey"},"Transitions":{"Conditions":[{"Condition":{"Operands":["hangup"],"Operator":"TextContains"},"NextAction":"hangup"}],"Errors":[{"ErrorType":"NoMatchingCondition","NextAction":"screen_pop"}],"NextAction":"screen_pop"},"Type":"Compare"},
    {"Identifier":"screen_pop","Parameters":{"Attributes":{"screenPopURL":${jsonencode(var.screen_pop_url)},"sessionHistoryKey":"$.Attributes.SessionHistoryKey"},"TargetContact":"Current"},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"set_queue"}],"NextAction":"set_queue"},"Type":"UpdateContactAttributes"},
    {"Identifier":"set_queue","Parameters":{"QueueId":${jsonencode(data.aws_connect_queue.agents.arn)}},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"to_queue"}],"NextAction":"to_queue"},"Type":"UpdateContactTargetQueue"},
    {"Identifier":"to_queue","Parameters":{},"Transitions":{"Errors":[{"ErrorType":"QueueAtCapacity","NextAction":"say_full"},{"ErrorType":"NoMatchingError","NextAction":"say_full"}],"NextAction":"hangup"},"Type":"TransferContactToQueue"},
    {"Identifier":"say_failed","Parameters":{"Text":"We could not reach the assistant. I connect you to an agent."},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"set_queue"}],"NextAction":"set_queue"},"Type":"MessageParticipant"},
    {"Identifier":"say_late","Parameters":{"Text":"The assistant did not answer. I connect you to an agent."},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"set_queue"}],"NextAction":"set_queue"},"Type":"MessageParticipant"},
    {"Identifier":"say_error","Parameters":{"Text":"Something went wrong. I connect you to an agent."},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"set_queue"}],"NextAction":"set_queue"},"Type":"MessageParticipant"},
    {"Identifier":"say_full","Parameters":{"Text":"All agents are busy. Please call again later."},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"hangup"}],"NextAction":"hangup"},"Type":"MessageParticipant"},
    {"Identifier":"hangup","Parameters":{},"Transitions":{},"Type":"DisconnectParticipant"}
    ]}
  FLOW
}

resource "aws_connect_phone_number" "bellhop" {
  count = var.phone_number_id == null ? 1 : 0

  target_arn   = var.instance_arn
  country_code = var.phone_number_country
  type         = var.phone_number_type
  description  = var.name
}

resource "aws_connect_phone_number_contact_flow_association" "bellhop" {
  instance_id     = local.instance_id
  contact_flow_id = aws_connect_contact_flow.bellhop.contact_flow_id
  phone_number_id = var.phone_number_id == null ? aws_connect_phone_number.bellhop[0].id : var.phone_number_id

  # A call finds its way before it is let in.
  depends_on = [aws_chime_voice_connector_origination.bellhop]
}

resource "aws_iam_user" "bellhop" {
  count = var.access == "user" ? 1 : 0

  name = local.iam_name
}

resource "aws_iam_user_policy" "bellhop" {
  count = var.access == "user" ? 1 : 0

  name   = local.iam_name
  user   = aws_iam_user.bellhop[0].name
  policy = local.policy
}

resource "aws_iam_role" "bellhop" {
  count = var.access == "role" ? 1 : 0

  name = local.iam_name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = var.trusted_principal_arn }
      Condition = { StringEquals = { "sts:ExternalId" = var.external_id } }
    }]
  })

  lifecycle {
    precondition {
      condition     = var.trusted_principal_arn != null && var.external_id != null
      error_message = "A role wants trusted_principal_arn and external_id."
    }
  }
}

resource "aws_iam_role_policy" "bellhop" {
  count = var.access == "role" ? 1 : 0

  name   = local.iam_name
  role   = aws_iam_role.bellhop[0].name
  policy = local.policy
}

output "voice_connector_arn" {
  description = "Enter it in Bellhop, on the page Amazon side."
  value       = aws_chime_voice_connector.bellhop.arn
}

output "queue_arn" {
  description = "Enter it in Bellhop, on the page Amazon side."
  value       = data.aws_connect_queue.agents.arn
}

output "phone_number" {
  description = "Enter it in Bellhop, on the page Phone number. Of a number that the instance had already you know it."
  value       = one(aws_connect_phone_number.bellhop[*].phone_number)
}

output "access" {
  description = "What Bellhop signs with. Secrets stay out of Terraform's state: the command prints the key's, once."
  value = {
    user = "aws iam create-access-key --user-name ${local.iam_name}"
    role = one(aws_iam_role.bellhop[*].arn)
    none = "Bellhop has a key or a role already."
  }[var.access]
}

# Terraform's provider has no resource for it.
output "approved_origin" {
  description = "If a page of your own shows the Contact Control Panel: the command that allows it, with the page's origin put in."
  value       = "aws connect associate-approved-origin --region ${local.region} --cli-input-json '{\"InstanceId\":\"${local.instance_id}\",\"Origin\":\"https://ccp.example\"}'"
}
