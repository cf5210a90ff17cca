//! A page of the documentation as its tests read it: sections, and blocks of code.

use std::path::Path;

/// A page, without the text between its blocks.
pub(crate) struct Page {
    pub(crate) text: String,
}

/// Everything below a heading of the second level; what stands above the first has no heading.
pub(crate) struct Section {
    pub(crate) heading: String,
    pub(crate) text: String,
}

/// A block of code: between the fences, `language note` at the first.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) language: String,
    /// What stands behind the language, unseen where the page is read.
    pub(crate) note: String,
    pub(crate) text: String,
}

impl Page {
    /// From the root of the tree.
    pub(crate) fn read(path: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        Self { text: std::fs::read_to_string(path).unwrap() }
    }

    pub(crate) fn sections(&self) -> Vec<Section> {
        let sections = self.text.split("\n## ");
        let heading = |(at, section): (usize, &str)| match section.split_once('\n') {
            Some((heading, text)) if at > 0 => (heading.to_owned(), text.to_owned()),
            _ => (String::new(), section.to_owned()),
        };
        let sections = sections.enumerate().map(heading);
        sections.map(|(heading, text)| Section { heading, text }).collect()
    }

    pub(crate) fn section(&self, heading: &str) -> Section {
        let found = self.sections().into_iter().find(|section| section.heading == heading);
        found.unwrap_or_else(|| panic!("no section is called `{heading}`"))
    }

    /// The texts of the blocks in this language.
    pub(crate) fn blocks(&self, language: &str) -> Vec<String> {
        let blocks = blocks(&self.text).into_iter();
        blocks.filter(|block| block.language == language).map(|block| block.text).collect()
    }

    /// The block in this language that holds this text.
    pub(crate) fn block(&self, language: &str, holding: &str) -> String {
        let found = self.blocks(language).into_iter().find(|block| block.contains(holding));
        found.unwrap_or_else(|| panic!("no block of {language} holds `{holding}`"))
    }
}

/// The blocks of a text, in their order.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let blocks = text.split("```").skip(1).step_by(2).map(|block| {
        let (first, text) = block.split_once('\n').unwrap();
        let (language, note) = first.split_once(' ').unwrap_or((first, ""));
        Block { language: language.to_owned(), note: note.to_owned(), text: text.to_owned() }
    });
    blocks.collect()
}
