//! What may be wrong with a flow, each by a word that stays the same, with what to do about it.
//!
//! Invariant: a word is nobody else's.

use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Amazon Connect refuses the flow, or a caller or conversation is lost by it.
    Problem,
    /// It works, and could be better.
    Advice,
}

impl Level {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Advice => "advice",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Makes the codes, each with its word, its level and what to do.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident $word:literal $level:ident $remedy:literal;)*) => {
        /// What may be wrong with a flow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $code,)* }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// Its word: it stays the same.
            pub fn word(self) -> &'static str {
                match self { $(Self::$code => $word,)* }
            }

            /// How bad it is.
            pub fn level(self) -> Level {
                match self { $(Self::$code => Level::$level,)* }
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$code => $remedy,)* }
            }
        }
    };
}

codes! {
    /// It is of another type than inbound.
    FlowType "flow_type" Problem "import it into a flow of the type inbound: another type refuses it";
    /// Its start names no block.
    StartMissing "flow_start_missing" Problem "let the start name the block that comes first";
    /// It has more blocks than a flow may have.
    TooManyBlocks "flow_too_many_blocks" Problem "move some of them into a flow of their own";
    /// Two blocks have one identifier.
    IdentifierTaken "flow_identifier_taken" Problem "give each block an identifier of its own";
    /// An identifier is too long.
    IdentifierLong "flow_identifier_long" Problem "shorten it to 50 characters";
    /// An identifier has what it must not have.
    IdentifierRefused "flow_identifier_refused" Problem "take letters, digits, spaces, - and _";
    /// A branch leads to no block.
    TargetMissing "flow_target_missing" Problem "let the branch lead to a block that is there";
    /// No way leads to a block.
    BlockUnreached "flow_block_unreached" Problem "lead a branch to it, or take it away";
    /// Blocks lead to one another without anything that waits.
    Ring "flow_ring" Problem "let one of them lead out of the ring, to the queue for example";
    /// A block leads nowhere.
    NextMissing "flow_next_missing" Problem "say which block comes next";
    /// A block that ends the flow leads on.
    NextRefused "flow_next_refused" Problem "take its branches away: nothing comes after it";
    /// A block has conditions that has none.
    ConditionRefused "flow_condition_refused" Problem "take the conditions away: blocks of this kind have none";
    /// A comparison has no condition.
    ConditionMissing "flow_condition_missing" Problem "say what the value is compared with";
    /// A comparison that is not known.
    OperatorUnknown "flow_operator_unknown" Problem "take one of those that the flow language has, such as TextContains";
    /// A comparison with nothing, or with more than one text.
    OperandRefused "flow_operand_refused" Problem "compare with exactly one text that is not empty";
    /// A kind of block that is not known here.
    TypeUnknown "flow_type_unknown" Advice "look at it yourself: its parameters and errors are not checked";
    /// A parameter that blocks of this kind do not have.
    ParameterUnknown "flow_parameter_unknown" Problem "take it away, or spell it as the flow language does";
    /// A parameter that blocks of this kind must have.
    ParameterMissing "flow_parameter_missing" Problem "set it";
    /// A parameter of another type.
    ParameterType "flow_parameter_type" Problem "write it as the flow language has it: True and 60 are texts there, \"True\" and \"60\"";
    /// A parameter with another value than it may have.
    ParameterValue "flow_parameter_value" Problem "take one of the values that it may have";
    /// One of several parameters has to be there, and no other of them.
    ParameterChoice "flow_parameter_choice" Problem "keep one of them and take the others away";
    /// An error that blocks of this kind must have a branch for.
    ErrorMissing "flow_error_missing" Problem "say where the block leads when this goes wrong";
    /// An error that blocks of this kind must not have a branch for.
    ErrorRefused "flow_error_refused" Problem "take the branch away: Amazon Connect refuses it at this block";
    /// An error that has two branches.
    ErrorRepeated "flow_error_repeated" Problem "keep one branch for each error";
    /// A reference that begins with what nobody knows.
    ReferenceUnknown "flow_reference_unknown" Problem "take one of Amazon Connect's references, such as $.Attributes.NAME";
    /// A reference where a value is fixed.
    ReferenceRefused "flow_reference_refused" Problem "write the value itself: no reference is resolved here";
    /// A text where only a reference may stand.
    ReferenceMissing "flow_reference_missing" Problem "write one reference and nothing else, such as $.Attributes.NAME";
    /// A reference inside a text that is no prompt.
    ReferenceInText "flow_reference_in_text" Problem "write the reference alone: inside a text it is filled in only where something is said";
    /// What begins as an ARN and is none.
    ArnMalformed "flow_arn_malformed" Problem "copy the ARN from the console again";
    /// An ARN of another account, Region or instance.
    ArnForeign "flow_arn_foreign" Problem "enter what is your own: the flow names somebody else's";
    /// Calls are analysed while they are up.
    RealTimeAnalytics "flow_real_time_analytics" Problem "switch real-time analytics off: an instance without Contact Lens refuses the flow";
    /// No transfer to a Voice Connector.
    TransferMissing "flow_transfer_missing" Problem "add a Transfer to phone number by your Voice Connector: it brings the caller to the assistant";
    /// The flow ends with the call to the assistant.
    TransferEndsFlow "flow_transfer_ends_flow" Problem "let the flow resume after the disconnect: nobody reaches an agent otherwise";
    /// User-to-User is not the instance.
    UserToUser "flow_user_to_user" Advice "set User to User Information by attribute: System, Instance ARN";
    /// What an earlier transfer left is not taken away.
    KeyNotEmptied "flow_key_not_emptied" Advice "set the attribute SessionHistoryKey to an empty text before the transfer";
    /// Callers who are done with are put into the queue.
    HangupUnchecked "flow_hangup_unchecked" Problem "check $.Attributes.SessionHistoryKey between the transfer and the queue: contains hangup leads to Disconnect, anything else to the queue";
    /// Agents are not shown the conversation.
    AttributeMissing "flow_attribute_missing" Problem "set screenPopURL, and sessionHistoryKey to $.Attributes.SessionHistoryKey, between the check and the queue";
    /// Agents are shown a page of somebody else's.
    ScreenPopElsewhere "flow_screen_pop_elsewhere" Problem "set screenPopURL to the address that the page of the Amazon side shows";
    /// The agents' page is named with an equals sign.
    ScreenPopEqualsSign "flow_screen_pop_equals_sign" Advice "leave the equals sign at the end out: the page of agents adds it";
    /// Nobody is put into a queue.
    QueueMissing "flow_queue_missing" Problem "add Set working queue and Transfer to queue: they bring the caller to an agent";
    /// The queue is not chosen.
    QueueUnset "flow_queue_unset" Problem "put Set working queue before it, on every way that leads there";
    /// A branch ends the contact of somebody who has not been in the queue.
    CallerLost "flow_caller_lost" Problem "lead the branch to the queue, by way of a prompt if you like: an agent helps where the assistant could not";
    /// A full queue hangs up without a word.
    QueueFullUnsaid "flow_queue_full_unsaid" Advice "play a prompt before the Disconnect: callers should hear why they are not connected";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_word_is_nobody_elses() {
        let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(words.iter().all(|word| word.starts_with("flow_") && !word.contains(' ')));
    }
}
