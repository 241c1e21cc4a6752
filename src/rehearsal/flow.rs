//! A contact flow of either format, really run, and no more than Amazon Connect runs it.
//!
//! A value that is one reference, `$.InstanceARN` or `$.Attributes.NAME`, is resolved; a reference inside a text is text, as
//! nothing says that Amazon Connect fills it there, but where the text is said to the caller. Invariant: a flow runs up to its
//! transfer, waits for how the call ended, and runs on to a queue or to the end; whatever it does is in its [`Flow::path`].

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bellhop_connect::contact_attributes::BYTES_MAX;
use bellhop_connect::flow::path::{self, Written};
use bellhop_connect::flow::{self as graph, Action, AfterTransfer, BadParameter, Does, ErrorType, Prompt, Unreadable};

/// Most actions one run may take; a ring of actions is an error.
const ACTIONS_MAX: usize = 250;

/// The sample flow: transfers to the gateway, then to a queue or to the end.
pub const SAMPLE: &str = include_str!("flow-2019-10-30-example.json");
/// Where the sample flow supposes the agent's page, `http.public_url`: to be replaced with one's own.
pub const SAMPLE_PUBLIC_URL: &str = "https://bellhop.example";

/// Where a run stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// At the transfer to the gateway.
    Transferring {
        /// The User-to-User information it passes on.
        user_to_user: String,
    },
    /// In an agent's queue.
    Queued {
        /// The queue's ARN.
        queue: String,
    },
    /// At the end: the caller was disconnected.
    Disconnected,
}

/// How the transfer's call ended, as the flow sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferOutcome {
    /// The far end answered and hung up.
    Success,
    /// The far end refused.
    CallFailed,
    /// The far end did not answer in time.
    Timeout,
    /// Anything else: a connector that is not there, for example.
    Error,
}

/// Whether a queue takes one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queues {
    /// There is room.
    HaveRoom,
    /// All are at their limits.
    AreFull,
}

/// Why a flow cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("flow: {0}")]
pub struct BadFlow(pub String);

impl From<Unreadable> for BadFlow {
    fn from(unreadable: Unreadable) -> Self {
        Self(unreadable.to_string())
    }
}

impl From<BadParameter> for BadFlow {
    fn from(bad: BadParameter) -> Self {
        Self(bad.to_string())
    }
}

/// One contact in a flow.
#[derive(Debug, Clone)]
pub struct Flow {
    flow: graph::Flow,
    at: String,
    queue: Option<String>,
    failing: BTreeMap<String, ErrorType>,
    /// Whether a queue takes this contact.
    pub queues: Queues,
    /// The contact's attributes, shared with the API by who owns this.
    pub attributes: BTreeMap<String, String>,
    /// What `$.` paths mean.
    pub system: BTreeMap<String, String>,
    /// The identifiers of the actions taken.
    pub path: Vec<String>,
    /// What the caller was told, with what references in it stand for.
    pub said: Vec<String>,
}

/// What comes of an action.
enum Came {
    /// All went well: the flow goes on.
    On,
    /// A condition holds, or none does: it goes on there.
    To(String),
    /// Something went wrong.
    Wrong(ErrorType),
    /// It waits, or is at its end.
    Stopped(Stop),
}

impl Flow {
    /// A contact at the beginning of a flow, in either format.
    pub fn begin(json: &str, system: BTreeMap<String, String>) -> Result<Self, BadFlow> {
        let flow = graph::read(json)?;
        Ok(Self {
            at: flow.start.clone(),
            flow,
            queue: None,
            failing: BTreeMap::new(),
            queues: Queues::HaveRoom,
            attributes: BTreeMap::new(),
            system,
            path: vec![],
            said: vec![],
        })
    }

    /// From now on the action of this identifier ends in an error.
    pub fn fails(&mut self, identifier: &str, error: ErrorType) {
        self.failing.insert(identifier.to_owned(), error);
    }

    /// Runs until the flow waits or ends.
    pub fn run(&mut self) -> Result<Stop, BadFlow> {
        for _ in 0..ACTIONS_MAX {
            let action = self.action()?;
            self.path.push(self.at.clone());
            let came = match self.failing.get(&self.at) {
                Some(error) => Came::Wrong(error.clone()),
                None => self.take(&action)?,
            };
            match came {
                Came::On => self.go(action.next.as_deref())?,
                Came::To(next) => self.go(Some(&next))?,
                Came::Wrong(error) => self.go(action.on(&error))?,
                Came::Stopped(stop) => return Ok(stop),
            }
        }
        Err(BadFlow("runs in a ring".into()))
    }

    /// The transfer's call is over: runs on.
    pub fn transferred(&mut self, outcome: TransferOutcome) -> Result<Stop, BadFlow> {
        let action = self.action()?;
        let Does::Transfer(transfer) = action.does()? else {
            return Err(BadFlow(format!("{} is no transfer", self.at)));
        };
        let error = match outcome {
            TransferOutcome::Success if transfer.after == AfterTransfer::ContactEnds => return Ok(Stop::Disconnected),
            TransferOutcome::Success => None,
            TransferOutcome::CallFailed => Some(ErrorType::CallFailed),
            TransferOutcome::Timeout => Some(ErrorType::ConnectionTimeLimitExceeded),
            TransferOutcome::Error => Some(ErrorType::NoMatchingError),
        };
        match error {
            None => self.go(action.next.as_deref())?,
            Some(error) => self.go(action.on(&error))?,
        }
        self.run()
    }

    fn action(&self) -> Result<Action, BadFlow> {
        self.flow.action(&self.at).cloned().ok_or_else(|| BadFlow(format!("no action {}", self.at)))
    }

    fn take(&mut self, action: &Action) -> Result<Came, BadFlow> {
        Ok(match action.does()? {
            Does::Passes => Came::On,
            Does::SetAttributes(attributes) => self.set(&attributes)?,
            Does::Compare(value) => self.compare(action, value)?,
            Does::SetQueue(queue) => match self.resolve(queue)? {
                queue if queue.is_empty() => Came::Wrong(ErrorType::NoMatchingError),
                queue => {
                    self.queue = Some(queue);
                    Came::On
                }
            },
            Does::TransferToQueue => match (&self.queue, self.queues) {
                (None, _) => Came::Wrong(ErrorType::NoMatchingError),
                (Some(_), Queues::AreFull) => Came::Wrong(ErrorType::QueueAtCapacity),
                (Some(queue), Queues::HaveRoom) => Came::Stopped(Stop::Queued { queue: queue.clone() }),
            },
            Does::Say(prompt) => self.say(prompt)?,
            Does::Disconnect => Came::Stopped(Stop::Disconnected),
            Does::Transfer(transfer) => {
                let user_to_user = self.resolve(transfer.user_to_user.unwrap_or_default())?;
                Came::Stopped(Stop::Transferring { user_to_user })
            }
            Does::Elsewhere => {
                return Err(BadFlow(format!("action type {} is not rehearsed", action.action_type.name())));
            }
        })
    }

    /// All attributes, or none: their names have to be such, and there is room for so many bytes.
    fn set(&mut self, attributes: &[(&str, &str)]) -> Result<Came, BadFlow> {
        let mut all = self.attributes.clone();
        for (name, value) in attributes {
            all.insert((*name).to_owned(), self.resolve(value)?);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let are_named = attributes.iter().all(|(name, _)| !name.is_empty() && name.bytes().all(plain));
        let bytes: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
        if !are_named || bytes > BYTES_MAX {
            return Ok(Came::Wrong(ErrorType::NoMatchingError));
        }
        self.attributes = all;
        Ok(Came::On)
    }

    fn compare(&self, action: &Action, value: &str) -> Result<Came, BadFlow> {
        let value = self.resolve(value)?;
        for condition in &action.conditions {
            let operand = condition.operands.first().map_or("", String::as_str);
            let unknown = || BadFlow(format!("operator {} is not rehearsed", condition.operator.name()));
            if condition.operator.holds(&value, operand).ok_or_else(unknown)? {
                return Ok(Came::To(condition.next.clone()));
            }
        }
        Ok(Came::Wrong(ErrorType::NoMatchingCondition))
    }

    /// What cannot be said is an error.
    fn say(&mut self, prompt: Prompt<'_>) -> Result<Came, BadFlow> {
        let said = match prompt {
            Prompt::Text(text) | Prompt::Ssml(text) => self.filled(text)?,
            Prompt::Recording(prompt) => self.resolve(prompt)?,
            Prompt::File => return Ok(Came::On),
        };
        if said.trim().is_empty() {
            return Ok(Came::Wrong(ErrorType::NoMatchingError));
        }
        self.said.push(said);
        Ok(Came::On)
    }

    fn go(&mut self, to: Option<&str>) -> Result<(), BadFlow> {
        self.at = to.ok_or_else(|| BadFlow(format!("{} leads nowhere", self.at)))?.to_owned();
        Ok(())
    }

    /// What a value is: of one reference what it stands for, of any other text itself.
    fn resolve(&self, text: &str) -> Result<String, BadFlow> {
        match path::written(text) {
            Written::Reference(root) => self.meaning(root, text),
            Written::Text | Written::Mixed(_) => Ok(text.to_owned()),
        }
    }

    /// A text with what each reference in it stands for.
    fn filled(&self, text: &str) -> Result<String, BadFlow> {
        let (mut filled, mut from) = (String::new(), 0);
        for (root, at, end) in path::references(text) {
            filled.push_str(&text[from..at]);
            filled.push_str(&self.meaning(root, &text[at..end])?);
            from = end;
        }
        filled.push_str(&text[from..]);
        Ok(filled)
    }

    /// What a reference stands for: nothing, where nobody has set it.
    fn meaning(&self, root: &str, reference: &str) -> Result<String, BadFlow> {
        if !path::ROOTS.contains(&root) {
            return Err(BadFlow(format!("nothing is a {reference}")));
        }
        let told = match path::attribute(reference) {
            Some(name) => self.attributes.get(name),
            None => self.system.get(reference),
        };
        Ok(told.cloned().unwrap_or_default())
    }
}

/// The address that the sample page of the Contact Control Panel opens for the agent: the flow's `screenPopURL`, an equals
/// sign, and `sessionHistoryKey` without its first character. `None` where the flow set none of both.
pub fn screen_pop(attributes: &BTreeMap<String, String>) -> Option<String> {
    let key = attributes.get("sessionHistoryKey")?;
    let rest = key.get(key.chars().next()?.len_utf8()..)?;
    Some(format!("{}={rest}", attributes.get("screenPopURL")?))
}
