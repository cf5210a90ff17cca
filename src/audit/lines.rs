//! Lines of the decision log on their way to it: whole ones, in one piece.

use super::log::AuditError;
use super::record::Line;
use crate::model::printed::Object;

/// What a buffer keeps of its memory when it is emptied: more than one decision needs, less than
/// a large batch leaves behind.
const KEPT: usize = 64 * 1024;

/// More bytes than an item of a batch takes with its usual short names.
const USUAL: usize = 512;

/// Whole lines, ready to be written in one piece.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    count: usize,
}

impl Lines {
    /// With room for so many lines of a usual length.
    pub fn with_room_for(lines: usize) -> Self {
        Self { bytes: Vec::with_capacity(lines.saturating_mul(USUAL)), count: 0 }
    }

    /// Adds a line behind the others.
    pub fn push(&mut self, line: &Line<'_>) -> Result<(), AuditError> {
        let start = self.bytes.len();
        let mut object = Object::begin(&mut self.bytes);
        if let Err(error) = line.write(&mut object) {
            self.bytes.truncate(start);
            return Err(error.into());
        }
        object.end();
        self.bytes.push(b'\n');
        self.count += 1;
        Ok(())
    }

    /// The lines, each with its newline.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes all lines out; the memory stays, as far as it is not out of proportion.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.count = 0;
    }
}
