//! Parses what a client sends to Postgres (protocol version 3, without TLS), as far as needed to
//! know which command is sent.
//!
//! A message is a type byte, a length, and its content; only the first message of a connection has
//! no type byte. An execution refers to a prepared statement by name, so the SQL text of each is
//! kept from the message that prepared it.

use std::collections::HashMap;

/// The commands at which a connection can fall silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// The end of a transaction.
    Commit,
    /// A statement that writes many exports, or many steps of exports, at once.
    GroupWrite,
    /// A worker claims exports that are due.
    Claim,
}

impl Command {
    pub const ALL: [Self; 3] = [Self::Commit, Self::GroupWrite, Self::Claim];

    /// The command for a replica, if the first replica's connections fall silent at this one.
    #[must_use]
    pub fn of_replica(first: usize, replica: usize) -> Self {
        Self::ALL[(first + replica) % Self::ALL.len()]
    }

    fn of(sql: &str) -> Option<Self> {
        match () {
            () if sql
                .trim_start()
                .get(..6)
                .is_some_and(|word| word.eq_ignore_ascii_case("commit")) =>
            {
                Some(Self::Commit)
            }
            // First, because the statement that writes steps also updates the schedule.
            () if sql.contains("INSERT INTO exports ") || sql.contains("json_to_recordset") => {
                Some(Self::GroupWrite)
            }
            () if sql.contains("UPDATE export_schedule") => Some(Self::Claim),
            () => None,
        }
    }
}

/// How much of a message is kept: more than any statement's text. The rest is values.
const KEPT: usize = 64 * 1024;

/// Codes in place of a protocol version that request encryption; another startup message follows.
const ENCRYPTION_REQUESTS: [u32; 2] = [80_877_103, 80_877_104];

/// The parser's state for one connection.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The startup message, which has no type byte, is complete.
    is_started: bool,
    /// The start of the current message, from its type byte on.
    head: Vec<u8>,
    /// How much of a long message's end is still to come; it is not kept.
    to_skip: usize,
    statements: HashMap<Vec<u8>, Option<Command>>,
    /// The command of the bound portal.
    bound: Option<Command>,
    /// The commands executed since the last Sync.
    running: Option<Command>,
}

impl Decoder {
    /// Parses more bytes; returns the last command that they complete, including its Sync.
    pub fn read(&mut self, mut bytes: &[u8]) -> Option<Command> {
        let mut asked = None;
        while !bytes.is_empty() {
            if self.to_skip > 0 {
                let skipped = self.to_skip.min(bytes.len());
                self.to_skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let wanted = self.wanted();
            let taken = (wanted - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            // Now that the length is known, more bytes may be needed.
            if self.head.len() == self.wanted() {
                self.to_skip = self.length().unwrap_or(0) - self.head.len();
                let message = std::mem::take(&mut self.head);
                asked = self.take(&message).or(asked);
            }
        }
        asked
    }

    /// How many bytes of this message are needed to parse it.
    fn wanted(&self) -> usize {
        self.length()
            .map_or(self.length_at() + 4, |length| length.min(KEPT))
    }

    fn length_at(&self) -> usize {
        usize::from(self.is_started)
    }

    /// The message's length including the type byte, if it is known already.
    fn length(&self) -> Option<usize> {
        let at = self.length_at();
        let length = u32_at(&self.head, at)?;
        Some(at + usize::try_from(length).ok()?.max(4))
    }

    fn take(&mut self, message: &[u8]) -> Option<Command> {
        if !self.is_started {
            self.is_started =
                !u32_at(message, 4).is_some_and(|code| ENCRYPTION_REQUESTS.contains(&code));
            return None;
        }
        let content = message.get(5..).unwrap_or_default();
        let mut texts = content.split(|byte| *byte == 0);
        let mut text = || texts.next().unwrap_or_default();
        match message.first()? {
            b'Q' => Command::of(&String::from_utf8_lossy(text())),
            b'P' => {
                let name = text().to_vec();
                self.statements
                    .insert(name, Command::of(&String::from_utf8_lossy(text())));
                None
            }
            b'B' => {
                let _portal = text();
                self.bound = self.statements.get(text()).copied().flatten();
                None
            }
            b'E' => {
                self.running = self.bound.or(self.running);
                None
            }
            b'S' => {
                self.bound = None;
                self.running.take()
            }
            _ => None,
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .try_into()
        .ok()
        .map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), content].concat()
    }

    fn first(code: u32, content: &[u8]) -> Vec<u8> {
        message(0, &[&code.to_be_bytes()[..], content].concat())[1..].to_vec()
    }

    fn started() -> Decoder {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.read(&first(80_877_103, b"")), None);
        assert_eq!(decoder.read(&first(196_608, b"user\0tableferry\0\0")), None);
        decoder
    }

    fn prepare(name: &str, sql: &str) -> Vec<u8> {
        [
            message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes()),
            message(b'D', b"S\0"),
            message(b'S', b""),
        ]
        .concat()
    }

    fn run(name: &str, values: usize) -> Vec<u8> {
        let bind = [format!("\0{name}\0").as_bytes(), &vec![b'x'; values]].concat();
        [
            message(b'B', &bind),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ]
        .concat()
    }

    #[test]
    fn simple_commands_are_known_by_their_text() {
        let mut decoder = started();
        assert_eq!(decoder.read(&message(b'Q', b"BEGIN\0")), None);
        assert_eq!(
            decoder.read(&message(b'Q', b"COMMIT\0")),
            Some(Command::Commit)
        );
        assert_eq!(decoder.read(&message(b'Q', b"SELECT 1\0")), None);
    }

    #[test]
    fn prepared_statements_are_known_when_they_run() {
        let mut decoder = started();
        for (name, sql, command) in [
            (
                "s_1",
                "WITH new AS (INSERT INTO exports (id) VALUES ($1)) SELECT 1",
                Some(Command::GroupWrite),
            ),
            (
                "s_2",
                "WITH s AS (SELECT * FROM json_to_recordset($1)) UPDATE export_schedule s SET a = 1",
                Some(Command::GroupWrite),
            ),
            (
                "s_3",
                "UPDATE export_schedule s SET claims = s.claims + 1",
                Some(Command::Claim),
            ),
            ("s_4", "INSERT INTO exports_of_others VALUES (1)", None),
            ("", "UPDATE export_schedule SET x = 1", Some(Command::Claim)),
        ] {
            assert_eq!(
                decoder.read(&prepare(name, sql)),
                None,
                "{name}: it is only prepared"
            );
            assert_eq!(decoder.read(&run(name, 10)), command, "{name}");
        }
        // Again, later, with values that are longer than what is kept.
        assert_eq!(
            decoder.read(&run("s_1", 3 * KEPT)),
            Some(Command::GroupWrite)
        );
        assert_eq!(decoder.read(&run("s_4", 1)), None);
    }

    #[test]
    fn messages_may_come_in_any_pieces() {
        let bytes = [
            prepare("a", "UPDATE export_schedule"),
            run("a", 2 * KEPT),
            message(b'Q', b"SELECT 1\0"),
        ]
        .concat();
        for size in [1, 3, 7, 1_000] {
            let mut decoder = started();
            let seen: Vec<Command> = bytes
                .chunks(size)
                .filter_map(|piece| decoder.read(piece))
                .collect();
            assert_eq!(seen, [Command::Claim], "pieces of {size}");
        }
    }

    #[test]
    fn nonsense_ends_nothing() {
        let mut decoder = started();
        assert_eq!(
            decoder.read(&[b'Q', 0, 0, 0, 0, b'S', 0, 0, 0, 1, b'B', 0, 0, 0, 4]),
            None
        );
    }
}
