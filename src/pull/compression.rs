//! The body: plain, or compressed while it is written.

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};

/// Collects the text. With gzip, only a small part of the text is in memory at any time.
#[derive(Debug)]
pub(super) struct Body {
    /// Text that is not compressed yet. Writers call [`Body::spill`] after each series.
    pub(super) text: String,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Body {
    /// Expects a text of this size, which saves copies while a plain one grows.
    pub(super) fn new(is_compressed: bool, size: usize) -> Self {
        // Fast: labels repeat so much that a higher level saves little more.
        let gzip = is_compressed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let capacity = if is_compressed { size.min(2 * CHUNK) } else { size };
        Self { text: String::with_capacity(capacity), gzip }
    }

    /// Compresses the text if there is enough of it.
    pub(super) fn spill(&mut self) -> io::Result<()> {
        if let Some(gzip) = &mut self.gzip
            && self.text.len() >= CHUNK
        {
            gzip.write_all(self.text.as_bytes())?;
            self.text.clear();
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self.gzip {
            None => Ok(self.text.into_bytes()),
            Some(mut gzip) => {
                gzip.write_all(self.text.as_bytes())?;
                gzip.finish()
            }
        }
    }
}

const CHUNK: usize = 64 * 1024;
