#!/usr/bin/env bash
# The Amazon side of a phone line of Bellhop, by the AWS command line (version 1.38 or 2): a Voice Connector that leads to it, the
# contact flow, a phone number, and whoever may write what a hand-off writes. Run again it finds what it made, and makes the rest.
#
#   BELLHOP_INSTANCE_ARN=… BELLHOP_SIP_HOST=… BELLHOP_SCREEN_POP_URL=… ./bellhop.sh
#
# deploy/aws/README.md of Bellhop says what each value is. It prints what is to be entered in Bellhop.
set -euo pipefail

name=${BELLHOP_NAME-bellhop}
instance_arn=${BELLHOP_INSTANCE_ARN-}
sip_host=${BELLHOP_SIP_HOST-}
sip_port=${BELLHOP_SIP_PORT-5061}
# Whether calls come by TLS with SRTP: true or false.
encrypted=${BELLHOP_ENCRYPTED-true}
screen_pop_url=${BELLHOP_SCREEN_POP_URL-}
# The queue that agents work on: its ARN, or else its name.
queue_arn=${BELLHOP_QUEUE_ARN-}
queue_name=${BELLHOP_QUEUE_NAME-BasicQueue}
# A number that the instance has already, as +12065550100; else one of this country and type (DID or TOLL_FREE) is claimed.
phone_number=${BELLHOP_PHONE_NUMBER-}
phone_number_country=${BELLHOP_PHONE_NUMBER_COUNTRY-US}
phone_number_type=${BELLHOP_PHONE_NUMBER_TYPE-DID}
# What Bellhop signs with: user (an IAM user with a key), role (it assumes one), or none (it has a key or a role already).
access=${BELLHOP_ACCESS-user}
# Of a role: whom it trusts (whoever runs Bellhop tells it), and the external id that Bellhop shows.
trusted_principal_arn=${BELLHOP_TRUSTED_PRINCIPAL_ARN-}
external_id=${BELLHOP_EXTERNAL_ID-}
# The origin of a page of your own that shows the Contact Control Panel, if there is one.
ccp_origin=${BELLHOP_CCP_ORIGIN-}

# Seconds between two looks at a number that is being claimed, and how many looks there are.
pause=${BELLHOP_PAUSE-2}
looks_max=30
# Pages of a list of connectors that are looked through, 100 in each.
pages_max=50

fail() {
  printf 'bellhop: %s\n' "$1" >&2
  exit 1
}

say() {
  printf '%s\n' "$1"
}

# wants VALUE PATTERN WHAT: a value that is not of the pattern (a whole line of it) ends the script before anything is made.
wants() {
  [[ $1 =~ ^($2)$ ]] || fail "$3"
}

look_at_values() {
  local arn='arn:aws[-a-z]*:connect:[-a-z0-9]+:[0-9]{12}:instance/[-a-zA-Z0-9]+'
  wants "$name" '[a-zA-Z0-9][a-zA-Z0-9 _.-]{0,49}' 'BELLHOP_NAME has 1 to 50 letters, digits, blanks, dots, dashes and low lines, a letter or digit first'
  wants "$instance_arn" "$arn" 'BELLHOP_INSTANCE_ARN is missing or malformed: arn:aws:connect:REGION:ACCOUNT:instance/ID'
  wants "$sip_host" '[a-zA-Z0-9.-]{1,253}' 'BELLHOP_SIP_HOST is missing or malformed: the name at which Bellhop takes calls'
  wants "$sip_port" '[1-9][0-9]{0,4}' 'BELLHOP_SIP_PORT is a number from 1 to 65535'
  ((sip_port <= 65535)) || fail 'BELLHOP_SIP_PORT is a number from 1 to 65535'
  wants "$encrypted" 'true|false' 'BELLHOP_ENCRYPTED is true or false'
  # It stands in the flow, which is JSON.
  wants "$screen_pop_url" 'https?://[^[:space:][:cntrl:]"\\]+' 'BELLHOP_SCREEN_POP_URL is missing or malformed: https://…/loadAgentAppFrame.html?session_history_key'
  wants "$queue_arn" "($arn/queue/[-a-zA-Z0-9]+)?" 'BELLHOP_QUEUE_ARN is malformed: arn:aws:connect:REGION:ACCOUNT:instance/ID/queue/ID'
  # It stands between quotes in a query.
  wants "$queue_name" "[^'\`\\\\]{1,256}" "BELLHOP_QUEUE_NAME has 1 to 256 characters, without ' and \` and \\"
  wants "$phone_number" '(\+[1-9][0-9]{1,14})?' 'BELLHOP_PHONE_NUMBER is malformed: +12065550100'
  wants "$phone_number_country" '[A-Z]{2}' 'BELLHOP_PHONE_NUMBER_COUNTRY is two capital letters, such as US or GB'
  wants "$phone_number_type" 'DID|TOLL_FREE' 'BELLHOP_PHONE_NUMBER_TYPE is DID or TOLL_FREE'
  wants "$access" 'user|role|none' 'BELLHOP_ACCESS is user, role or none'
  if [[ $access == role ]]; then
    wants "$trusted_principal_arn" 'arn:aws[-a-z]*:iam::[0-9]{12}:[a-zA-Z0-9/+=,.@_-]+' 'BELLHOP_TRUSTED_PRINCIPAL_ARN is missing or malformed: whoever runs Bellhop tells it'
    wants "$external_id" '[a-zA-Z0-9+=,.@:/_-]{2,1224}' 'BELLHOP_EXTERNAL_ID is missing or malformed: Bellhop shows it'
  fi
  wants "$ccp_origin" '(https://[a-zA-Z0-9.-]+(:[0-9]+)?)?' 'BELLHOP_CCP_ORIGIN is https:// and a name, without a path'
  command -v aws >/dev/null || fail 'there is no command aws: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html'
}

# The first word of what a list was narrowed to; nothing where there is none.
first_of() {
  local word
  for word in $1; do
    [[ $word == None ]] || { printf '%s' "$word"; return; }
  done
}

find_instance() {
  local status
  status=$(aws connect describe-instance --instance-id "$instance_id" --query Instance.InstanceStatus --output text) ||
    fail "the instance is not found in $region by whom the command line signs as: look at aws sts get-caller-identity"
  [[ $status == ACTIVE ]] || fail "the instance is not active: $status"
}

find_queue() {
  if [[ -z $queue_arn ]]; then
    queue_arn=$(aws connect list-queues --instance-id "$instance_id" --queue-types STANDARD \
      --query "QueueSummaryList[?Name=='$queue_name'].Arn" --output text) || fail 'the queues are not told'
    queue_arn=$(first_of "$queue_arn")
    [[ -n $queue_arn ]] || fail "the instance has no queue $queue_name: say which by BELLHOP_QUEUE_NAME or BELLHOP_QUEUE_ARN"
  fi
  [[ $queue_arn == "$instance_arn"/queue/* ]] || fail 'the queue is of another instance'
}

find_connector() {
  local page token=None n
  connector_id=''
  for ((n = 0; n < pages_max; n++)); do
    local more=()
    [[ $token == None ]] || more=(--next-token "$token")
    page=$(aws chime-sdk-voice list-voice-connectors --max-results 100 ${more[@]+"${more[@]}"} \
      --query "[NextToken, VoiceConnectors[?Name=='$name'] | [0].VoiceConnectorId]" --output text) ||
      fail 'the Voice Connectors are not told'
    read -r token connector_id <<<"$page"
    [[ $connector_id == None ]] || return 0
    connector_id=''
    [[ $token != None ]] || return 0
  done
  fail "there are more than $((pages_max * 100)) Voice Connectors"
}

make_connector() {
  local encryption=--require-encryption
  [[ $encrypted == true ]] || encryption=--no-require-encryption
  find_connector
  if [[ -z $connector_id ]]; then
    connector_id=$(aws chime-sdk-voice create-voice-connector --name "$name" --aws-region "$region" "$encryption" \
      --query VoiceConnector.VoiceConnectorId --output text) || fail 'the Voice Connector is not made'
    say "made:  Voice Connector $name"
  else
    aws chime-sdk-voice update-voice-connector --voice-connector-id "$connector_id" --name "$name" "$encryption" >/dev/null ||
      fail 'the Voice Connector is not changed'
    say "found: Voice Connector $name"
  fi
  connector_arn=$(aws chime-sdk-voice get-voice-connector --voice-connector-id "$connector_id" \
    --query VoiceConnector.VoiceConnectorArn --output text) || fail 'the Voice Connector is not told'
  aws chime-sdk-voice put-voice-connector-origination --voice-connector-id "$connector_id" --origination \
    "Disabled=false,Routes=[{Host=$sip_host,Port=$sip_port,Protocol=TCP,Priority=1,Weight=5}]" >/dev/null ||
    fail 'the inbound route is not set'
  say "set:   its inbound route to $sip_host:$sip_port"
}

# The flow, with the three values put in.
flow() {
  local text
  # It ends at the end of what is read, which `read` tells as a failure.
  IFS= read -r -d '' text <<'FLOW' || true
{"Version":"2019-10-30","StartAction":"log","Metadata":{"ActionMetadata":{"check":{"position":{"x":940,"y":20}},"clear":{"position":{"x":420,"y":20}},"hangup":{"position":{"x":940,"y":460}},"log":{"position":{"x":160,"y":20}},"say_error":{"position":{"x":420,"y":460}},"say_failed":{"position":{"x":940,"y":240}},"say_full":{"position":{"x":680,"y":460}},"say_late":{"position":{"x":160,"y":460}},"screen_pop":{"position":{"x":160,"y":240}},"set_queue":{"position":{"x":420,"y":240}},"to_queue":{"position":{"x":680,"y":240}},"transfer":{"position":{"x":680,"y":20}}},"entryPointPosition":{"x":20,"y":20}},
"Actions":[
{"Identifier":"log","Parameters":{"FlowLoggingBehavior":"Enabled"},"Transitions":{"NextAction":"clear"},"Type":"UpdateFlowLoggingBehavior"},
{"Identifier":"clear","Parameters":{"Attributes":{"SessionHistoryKey":""},"TargetContact":"Current"},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"transfer"}],"NextAction":"transfer"},"Type":"UpdateContactAttributes"},
{"Identifier":"transfer","Parameters":{"ContinueFlowExecution":"True","ThirdPartyConnectionTimeLimitSeconds":"60","VoiceConnector":{"FromUser":"$.CustomerEndpoint.Address","ToUser":"$.SystemEndpoint.Address","UserToUserInformation":"$.InstanceARN","VoiceConnectorArn":"@VOICE_CONNECTOR_ARN@","VoiceConnectorType":"ChimeConnector"}},"Transitions":{"Errors":[{"ErrorType":"CallFailed","NextAction":"say_failed"},{"ErrorType":"ConnectionTimeLimitExceeded","NextAction":"say_late"},{"ErrorType":"NoMatchingError","NextAction":"say_error"}],"NextAction":"check"},"Type":"TransferParticipantToThirdParty"},
{"Identifier":"check","Parameters":{"ComparisonValue":"$.Attributes.SessionHistoryKey"},"Transitions":{"Conditions":[{"Condition":{"Operands":["hangup"],"Operator":"TextContains"},"NextAction":"hangup"}],"Errors":[{"ErrorType":"NoMatchingCondition","NextAction":"screen_pop"}],"NextAction":"screen_pop"},"Type":"Compare"},
{"Identifier":"screen_pop","Parameters":{"Attributes":{"screenPopURL":"@SCREEN_POP_URL@","sessionHistoryKey":"$.Attributes.SessionHistoryKey"},"TargetContact":"Current"},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"set_queue"}],"NextAction":"set_queue"},"Type":"UpdateContactAttributes"},
{"Identifier":"set_queue","Parameters":{"QueueId":"@QUEUE_ARN@"},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"to_queue"}],"NextAction":"to_queue"},"Type":"UpdateContactTargetQueue"},
{"Identifier":"to_queue","Parameters":{},"Transitions":{"Errors":[{"ErrorType":"QueueAtCapacity","NextAction":"say_full"},{"ErrorType":"NoMatchingError","NextAction":"say_full"}],"NextAction":"hangup"},"Type":"TransferContactToQueue"},
{"Identifier":"say_failed","Parameters":{"Text":"We could not reach the assistant. I connect you to an agent."},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"set_queue"}],"NextAction":"set_queue"},"Type":"MessageParticipant"},
{"Identifier":"say_late","Parameters":{"Text":"The assistant did not answer. I connect you to an agent."},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"set_queue"}],"NextAction":"set_queue"},"Type":"MessageParticipant"},
{"Identifier":"say_error","Parameters":{"Text":"Something went wrong. I connect you to an agent."},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"set_queue"}],"NextAction":"set_queue"},"Type":"MessageParticipant"},
{"Identifier":"say_full","Parameters":{"Text":"All agents are busy. Please call again later."},"Transitions":{"Errors":[{"ErrorType":"NoMatchingError","NextAction":"hangup"}],"NextAction":"hangup"},"Type":"MessageParticipant"},
{"Identifier":"hangup","Parameters":{},"Transitions":{},"Type":"DisconnectParticipant"}
]}
FLOW
  text=${text//@VOICE_CONNECTOR_ARN@/"$connector_arn"}
  text=${text//@QUEUE_ARN@/"$queue_arn"}
  text=${text//@SCREEN_POP_URL@/"$screen_pop_url"}
  printf '%s' "$text"
}

make_flow() {
  local content
  content=$(flow)
  flow_id=$(aws connect list-contact-flows --instance-id "$instance_id" --contact-flow-types CONTACT_FLOW \
    --query "ContactFlowSummaryList[?Name=='$name'].Id" --output text) || fail 'the contact flows are not told'
  flow_id=$(first_of "$flow_id")
  if [[ -z $flow_id ]]; then
    flow_id=$(aws connect create-contact-flow --instance-id "$instance_id" --name "$name" --type CONTACT_FLOW --status PUBLISHED \
      --description 'Hands callers over to Bellhop, and from there to agents.' --content "$content" \
      --query ContactFlowId --output text) || fail 'the contact flow is not made'
    say "made:  contact flow $name"
  else
    aws connect update-contact-flow-content --instance-id "$instance_id" --contact-flow-id "$flow_id" --content "$content" ||
      fail 'the contact flow is not changed'
    say "set:   contact flow $name"
  fi
}

find_number() {
  local narrowed="PhoneNumberDescription=='$name'"
  [[ -z $phone_number ]] || narrowed="PhoneNumber=='$phone_number'"
  number_id=$(aws connect list-phone-numbers-v2 --target-arn "$instance_arn" \
    --query "ListPhoneNumbersSummaryList[?$narrowed].PhoneNumberId" --output text) || fail 'the phone numbers are not told'
  number_id=$(first_of "$number_id")
}

claim_number() {
  local free
  free=$(aws connect search-available-phone-numbers --target-arn "$instance_arn" --phone-number-country-code "$phone_number_country" \
    --phone-number-type "$phone_number_type" --max-results 1 --query 'AvailableNumbersList[].PhoneNumber' --output text) ||
    fail 'the free phone numbers are not told'
  free=$(first_of "$free")
  [[ -n $free ]] || fail "there is no free number of the type $phone_number_type in $phone_number_country"
  number_id=$(aws connect claim-phone-number --target-arn "$instance_arn" --phone-number "$free" --phone-number-description "$name" \
    --query PhoneNumberId --output text) || fail 'the phone number is not claimed'
  say "made:  phone number $free"
}

# A number is claimed some time after it was asked for.
wait_for_number() {
  local told look
  for ((look = 0; look < looks_max; look++)); do
    told=$(aws connect describe-phone-number --phone-number-id "$number_id" \
      --query 'ClaimedPhoneNumberSummary.[PhoneNumber, PhoneNumberStatus.Status]' --output text) ||
      fail 'the phone number is not told'
    read -r phone_number told <<<"$told"
    case $told in
    CLAIMED) return 0 ;;
    FAILED) fail "Amazon Connect could not claim $phone_number: look at it in its console" ;;
    esac
    sleep "$pause"
  done
  fail "$phone_number is still being claimed: run this again later"
}

make_number() {
  find_number
  if [[ -n $number_id ]]; then
    say 'found: phone number'
  elif [[ -n $phone_number ]]; then
    fail "the instance has no phone number $phone_number"
  else
    claim_number
  fi
  wait_for_number
  aws connect associate-phone-number-contact-flow --phone-number-id "$number_id" --instance-id "$instance_id" \
    --contact-flow-id "$flow_id" || fail 'the phone number is not attached to the flow'
  say "set:   calls of $phone_number go into the flow"
}

policy() {
  printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"connect:UpdateContactAttributes","Resource":"%s/contact/*"}]}' "$instance_arn"
}

trust() {
  printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"%s"},"Condition":{"StringEquals":{"sts:ExternalId":"%s"}}}]}' \
    "$trusted_principal_arn" "$external_id"
}

# there WHAT COMMAND…: whether IAM has it; whatever else goes wrong ends the script.
there() {
  local what=$1 told
  shift
  if told=$("$@" 2>&1 >/dev/null); then
    return 0
  fi
  [[ $told == *NoSuchEntity* ]] || fail "whether there is $what is not told: $told"
  return 1
}

make_user() {
  local keys
  if there "a user $iam_name" aws iam get-user --user-name "$iam_name"; then
    say "found: user $iam_name"
  else
    aws iam create-user --user-name "$iam_name" >/dev/null || fail 'the user is not made'
    say "made:  user $iam_name"
  fi
  aws iam put-user-policy --user-name "$iam_name" --policy-name bellhop --policy-document "$(policy)" || fail 'its policy is not set'
  keys=$(aws iam list-access-keys --user-name "$iam_name" --query 'AccessKeyMetadata[].AccessKeyId' --output text) ||
    fail 'its access keys are not told'
  keys=$(first_of "$keys")
  if [[ -n $keys ]]; then
    signs_with="access key $keys, which was made before: its secret is shown once alone"
    return 0
  fi
  keys=$(aws iam create-access-key --user-name "$iam_name" --query 'AccessKey.[AccessKeyId, SecretAccessKey]' --output text) ||
    fail 'its access key is not made'
  read -r key_id key_secret <<<"$keys"
  say 'made:  its access key'
  signs_with="Access Key ID $key_id, Access Key secret $key_secret (keep this line from others; it is not shown again)"
}

make_role() {
  if there "a role $iam_name" aws iam get-role --role-name "$iam_name"; then
    aws iam update-assume-role-policy --role-name "$iam_name" --policy-document "$(trust)" || fail 'whom the role trusts is not set'
    say "found: role $iam_name"
  else
    aws iam create-role --role-name "$iam_name" --assume-role-policy-document "$(trust)" >/dev/null || fail 'the role is not made'
    say "made:  role $iam_name"
  fi
  aws iam put-role-policy --role-name "$iam_name" --policy-name bellhop --policy-document "$(policy)" || fail 'its policy is not set'
  signs_with="IAM role $(aws iam get-role --role-name "$iam_name" --query Role.Arn --output text)" || fail 'the role is not told'
}

allow_ccp() {
  local origins
  origins=$(aws connect list-approved-origins --instance-id "$instance_id" --query 'Origins[]' --output text) ||
    fail 'the approved origins are not told'
  if [[ " ${origins//[[:space:]]/ } " == *" $ccp_origin "* ]]; then
    say "found: approved origin $ccp_origin"
  else
    # By itself, version 1 of the command line would fetch what stands at the address.
    aws connect associate-approved-origin --cli-input-json "{\"InstanceId\":\"$instance_id\",\"Origin\":\"$ccp_origin\"}" ||
      fail 'the origin is not approved'
    say "made:  approved origin $ccp_origin"
  fi
}

main() {
  look_at_values
  region=$(cut -d: -f4 <<<"$instance_arn")
  instance_id=${instance_arn##*/}
  iam_name=${name// /-}
  export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER='' AWS_CLI_AUTO_PROMPT=off
  signs_with='what it has already'
  find_instance
  find_queue
  make_connector
  make_flow
  make_number
  case $access in
  user) make_user ;;
  role) make_role ;;
  esac
  [[ -z $ccp_origin ]] || allow_ccp
  say ''
  say 'Enter in Bellhop:'
  say "  Amazon Connect Instance ARN  $instance_arn"
  say "  Voice Connector ARN          $connector_arn"
  say "  Queue ARN                    $queue_arn"
  say "  Phone number                 $phone_number"
  say "  It signs with                $signs_with"
}

main
