//! The body of a batch: many questions of one principal, and what is said for all of them.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::written::{Written, WrittenBatch, WrittenId, parse, read};
use super::{EntityDescription, Question, check_record};
use crate::model::{Limits, Record, Refusal, Token};

/// How many bytes of its context a batch may have copied into items that have contexts of their own: no more than
/// the body itself can take, once it is read.
const COPIED: usize = 32 * 1024 * 1024;

/// The body of `POST /authorize/batch`.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The user's token, for callers that cannot set the header.
    pub token: Option<Token>,
    /// What is asked, in order.
    pub items: Vec<BatchItem>,
}

/// One question of a batch, or why it is none.
#[derive(Debug, Clone)]
pub struct BatchItem {
    /// The caller's own name for it.
    pub id: Option<String>,
    /// The question, with the shared context and entities in it.
    pub question: Result<Question, Refusal>,
}

/// What is said for all items. It has been judged.
struct Shared<'a> {
    context: Arc<Record>,
    entities: Vec<Arc<EntityDescription>>,
    limits: &'a Limits,
    /// What a copy of the context takes, in bytes.
    size: usize,
    /// What copies of it have taken.
    copied: usize,
}

impl Batch {
    /// Reads a batch of at most `limits.batch_body` bytes. An item that is wrong by itself spoils none of its
    /// neighbours.
    pub fn parse(json: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        // One pass over the text is enough where every item is one; only else does each stand alone.
        if let Ok(batch) = parse::<WrittenBatch<Written>>(json, limits) {
            return Self::of(batch, Shared::item, limits);
        }
        Self::of(parse::<WrittenBatch<&RawValue>>(json, limits)?, Shared::item_of_text, limits)
    }

    fn of<'l, T>(
        batch: WrittenBatch<T>,
        item: impl Fn(&mut Shared<'l>, T) -> BatchItem,
        limits: &'l Limits,
    ) -> Result<Self, Refusal> {
        if batch.requests.len() > limits.batch_items {
            return Err(Refusal::malformed(format!(
                "`requests` holds {} items, more than the {} of a batch: send several",
                batch.requests.len(),
                limits.batch_items
            )));
        }
        let mut shared = Shared::of(batch.context, batch.entities, limits)?;
        let items: Vec<_> = batch.requests.into_iter().map(|written| item(&mut shared, written)).collect();
        let own = |question: &Question| question.entities.len().saturating_sub(shared.entities.len());
        let described: usize = items.iter().flat_map(|item| &item.question).map(own).sum();
        if described + shared.entities.len() > limits.batch_entities {
            return Err(Refusal::malformed(format!(
                "the batch describes more than {} entities",
                limits.batch_entities
            )));
        }
        let mut ids = HashSet::new();
        if let Some(id) = items.iter().filter_map(|item| item.id.as_deref()).find(|id| !ids.insert(*id)) {
            return Err(Refusal::malformed(format!("the id `{id}` is given to two items of `requests`")));
        }
        Ok(Self { token: batch.token, items })
    }
}

impl<'a> Shared<'a> {
    fn of(
        context: Record,
        entities: Vec<Arc<EntityDescription>>,
        limits: &'a Limits,
    ) -> Result<Self, Refusal> {
        check_record(&context, limits)?;
        for entity in &entities {
            entity.check(limits)?;
        }
        let size = context.size();
        Ok(Self { context: Arc::new(context), entities, limits, size, copied: 0 })
    }

    fn item(&mut self, mut item: Written) -> BatchItem {
        BatchItem { id: item.id.take(), question: self.question(item) }
    }

    fn item_of_text(&mut self, json: &RawValue) -> BatchItem {
        let json = json.get().as_bytes();
        match read::<Written>(json) {
            Ok(item) => self.item(item),
            Err(refusal) => {
                let id = read::<WrittenId>(json).ok().and_then(|item| item.id);
                BatchItem { id, question: Err(refusal) }
            }
        }
    }

    fn question(&mut self, mut item: Written) -> Result<Question, Refusal> {
        if item.token.is_some() {
            return Err(Refusal::malformed("unknown member `token`: the batch has one token for all"));
        }
        let context = if item.context.is_empty() {
            Arc::clone(&self.context)
        } else {
            Arc::new(self.added_to(std::mem::take(&mut item.context))?)
        };
        let mut question = item.into_question(context);
        question.check_apart_from_context(self.limits)?;
        question.entities.extend_from_slice(&self.entities);
        question.check_count(self.limits)?;
        Ok(question)
    }

    /// The context of an item with that of the batch.
    fn added_to(&mut self, own: Record) -> Result<Record, Refusal> {
        check_record(&own, self.limits)?;
        self.copied = self.copied.saturating_add(self.size);
        if self.copied > COPIED {
            return Err(Refusal::malformed(format!(
                "the `context` of the batch goes to every item that has one of its own, which comes to more than \
                 {COPIED} bytes: send several batches"
            )));
        }
        let shared = self.context.iter().map(|(name, value)| (name.clone(), value.clone()));
        Record::of(own.into_iter().chain(shared).collect()).map_err(|name| {
            Refusal::malformed(format!("`context.{name}` is given by the batch and by the item"))
        })
    }
}
