//! Captures everything that is logged on the thread of one test, at every level, to check what is
//! not in it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};

/// Records the log until it is dropped.
pub struct LogCapture {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
    _second: Dispatch,
}

impl LogCapture {
    pub fn start() -> Self {
        let text: Arc<Mutex<Vec<u8>>> = Arc::default();
        let writer = Arc::clone(&text);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || Lines(Arc::clone(&writer)))
            .finish();
        // With only one subscriber, tracing asks the subscriber of the first thread that logs a
        // line whether it is enabled, and caches the result for all threads. That may be another
        // test's thread. With two subscribers it asks both.
        let second = Dispatch::new(NoSubscriber::default());
        Self {
            text,
            _second: second,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
