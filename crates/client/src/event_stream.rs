//! Parses a `text/event-stream` piece by piece, by the HTML standard. Pure.

#[derive(Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// Sent as `Last-Event-ID` to continue after this event.
    pub id: String,
    pub data: String,
}

/// Input that is not a complete event yet.
#[derive(Debug, Default)]
pub struct EventStream {
    unread: Vec<u8>,
    id: String,
    data: Vec<String>,
}

/// The longest line.
const MAX_UNREAD_BYTES: usize = 1 << 20;

impl EventStream {
    /// Adds a piece and returns the events that are complete now. `None` if a line is too long.
    pub fn take(&mut self, piece: &[u8]) -> Option<Vec<StreamEvent>> {
        self.unread.extend_from_slice(piece);
        let mut whole = Vec::new();
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            whole.extend(self.line(line.trim_end_matches(['\r', '\n'])));
        }
        (self.unread.len() <= MAX_UNREAD_BYTES).then_some(whole)
    }

    fn line(&mut self, line: &str) -> Option<StreamEvent> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then(|| StreamEvent {
                id: self.id.clone(),
                data: data.join("\n"),
            });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.id),
            "data" => self.data.push(value.to_owned()),
            // Comments keep the connection alive. The data contains the event's type too.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = ": still here\n\nid: 1\nevent: export.created\ndata: {\"a\":1}\n\nid: 2\r\ndata: x\r\ndata:y\r\n\r\ndata: unfinished\n";
        let expected = [("1", "{\"a\":1}"), ("2", "x\ny")].map(|(id, data)| StreamEvent {
            id: id.to_owned(),
            data: data.to_owned(),
        });
        for size in [1, 7, text.len()] {
            let mut stream = EventStream::default();
            let events: Vec<_> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|piece| stream.take(piece).unwrap())
                .collect();
            assert_eq!(events, expected);
        }
        assert!(
            EventStream::default()
                .take(&vec![b'x'; MAX_UNREAD_BYTES + 1])
                .is_none()
        );
    }
}
