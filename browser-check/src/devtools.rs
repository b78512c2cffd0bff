//! Messages of the DevTools protocol: JSON, each ended by a zero byte, over two pipes.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};

use serde_json::{Value, json};

use crate::process::Pipes;
use crate::time::Deadline;

/// Bytes of one message; a rendered page and a screenshot are the largest.
const MAX_MESSAGE: u64 = 16 * 1024 * 1024;
/// Events that wait while a command is answered.
const MAX_WAITING: usize = 10_000;

/// What happens outside this thread.
pub enum Message {
    FromBrowser(Value),
    /// The browser closed the pipe or sent something else.
    BrowserGone,
    ParentGone,
}

/// Why a command has no result.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    BrowserGone,
    ParentGone,
    TimedOut,
    /// The browser refused the command, in its words.
    Refused(String),
}

/// An event, with the session of its page.
#[derive(Debug)]
pub struct Event {
    pub method: String,
    pub params: Value,
    pub session: Option<String>,
}

pub struct DevTools<'a> {
    to: Box<dyn Write + Send>,
    messages: &'a Receiver<Message>,
    last_id: u64,
    events: VecDeque<Event>,
}

impl<'a> DevTools<'a> {
    pub fn new(pipes: Pipes, sender: SyncSender<Message>, messages: &'a Receiver<Message>) -> Self {
        let from = pipes.from;
        std::thread::spawn(move || read(from, &sender));
        Self {
            to: pipes.to,
            messages,
            last_id: 0,
            events: VecDeque::new(),
        }
    }

    /// Sends a command and does not wait for its result, which is ignored.
    ///
    /// # Errors
    /// The browser has ended.
    pub fn send(
        &mut self,
        method: &str,
        params: Value,
        session: Option<&str>,
    ) -> Result<u64, Error> {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if let (Some(session), Value::Object(message)) = (session, &mut message) {
            message.insert("sessionId".to_owned(), Value::from(session));
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let sent = self.to.write_all(&bytes).and_then(|()| self.to.flush());
        sent.map_err(|_| Error::BrowserGone)?;
        Ok(self.last_id)
    }

    /// Sends a command and returns its result. Events that arrive meanwhile are kept.
    ///
    /// # Errors
    /// There is no result.
    pub fn call(
        &mut self,
        method: &str,
        params: Value,
        session: Option<&str>,
        deadline: Deadline,
    ) -> Result<Value, Error> {
        let id = self.send(method, params, session)?;
        let mut waiting = VecDeque::new();
        let result = loop {
            match self.result(id, deadline) {
                Ok(Ok(result)) => break Ok(result),
                Ok(Err(event)) => waiting.push_back(event),
                Err(error) => break Err(error),
            }
        };
        self.events = waiting;
        result
    }

    /// Waits for the result of command `id`: the result, or an event that is to be handled first.
    ///
    /// # Errors
    /// There is no result.
    pub fn result(&mut self, id: u64, deadline: Deadline) -> Result<Result<Value, Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Err(event));
            }
            let mut message = self.receive(deadline)?;
            if message.get("id").and_then(Value::as_u64) != Some(id) {
                self.keep(message);
                continue;
            }
            if let Some(error) = text(&message, "/error/message") {
                return Err(Error::Refused(error.to_owned()));
            }
            return Ok(Ok(message
                .get_mut("result")
                .map(Value::take)
                .unwrap_or_default()));
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// There is none within `deadline`, or either end has gone.
    pub fn event(&mut self, deadline: Deadline) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let message = self.receive(deadline)?;
            self.keep(message);
        }
    }

    fn keep(&mut self, mut message: Value) {
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            return;
        };
        if self.events.len() < MAX_WAITING {
            self.events.push_back(Event {
                method: method.to_owned(),
                session: text(&message, "/sessionId").map(str::to_owned),
                params: message
                    .get_mut("params")
                    .map(Value::take)
                    .unwrap_or_default(),
            });
        }
    }

    fn receive(&mut self, deadline: Deadline) -> Result<Value, Error> {
        match self.messages.recv_timeout(deadline.remaining()) {
            Ok(Message::FromBrowser(message)) => Ok(message),
            Ok(Message::BrowserGone) | Err(RecvTimeoutError::Disconnected) => {
                Err(Error::BrowserGone)
            }
            Ok(Message::ParentGone) => Err(Error::ParentGone),
            Err(RecvTimeoutError::Timeout) => Err(Error::TimedOut),
        }
    }
}

/// A text in a message.
pub fn text<'a>(message: &'a Value, pointer: &str) -> Option<&'a str> {
    message.pointer(pointer)?.as_str()
}

/// A number in a message.
pub fn number(message: &Value, pointer: &str) -> Option<u64> {
    let number = message.pointer(pointer)?;
    number.as_u64().or_else(|| Some(number.as_f64()? as u64))
}

/// Passes messages on until the pipe ends.
fn read(from: impl Read, sender: &SyncSender<Message>) {
    let mut from = BufReader::new(from);
    loop {
        let mut bytes = Vec::new();
        let read = (&mut from).take(MAX_MESSAGE).read_until(0, &mut bytes);
        let is_complete = bytes.pop() == Some(0);
        let message = match read {
            Ok(1..) if is_complete => serde_json::from_slice(&bytes).ok(),
            Ok(_) | Err(_) => None,
        };
        let is_last = message.is_none();
        let message = message.map_or(Message::BrowserGone, Message::FromBrowser);
        if sender.send(message).is_err() || is_last {
            return;
        }
    }
}
