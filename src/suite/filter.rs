//! Which cases to run: globs on what they are called.

use wildmatch::WildMatch;

use crate::model::suggestion::did_you_mean;

/// Globs by what they are matched with. All that are given must match; of several on the same, one.
#[derive(Debug, Clone, Default)]
pub struct Filter(Vec<(Part, WildMatch)>);

/// What a glob can be matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    File,
    Test,
    Principal,
    Action,
    Resource,
}

impl Filter {
    /// Reads globs: `action=update*`, `file=*product*`; one without a part is matched with the test's name.
    ///
    /// # Errors
    /// A part that there is none of.
    pub fn parse(globs: &[String]) -> Result<Self, String> {
        globs.iter().map(|glob| read(glob)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether every case passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it looks into tests: a test without cases is none of what it asks for.
    pub(super) fn is_about_cases(&self) -> bool {
        self.0.iter().any(|(part, _)| !matches!(part, Part::File | Part::Test))
    }

    /// Whether something of this name passes.
    pub(super) fn admits(&self, part: Part, name: &str) -> bool {
        let mut globs = self.0.iter().filter(|(of, _)| *of == part).peekable();
        globs.peek().is_none() || globs.any(|(_, glob)| glob.matches(name))
    }
}

impl Part {
    const ALL: [(&'static str, Self); 5] = [
        ("file", Self::File),
        ("test", Self::Test),
        ("principal", Self::Principal),
        ("action", Self::Action),
        ("resource", Self::Resource),
    ];
}

fn read(glob: &str) -> Result<(Part, WildMatch), String> {
    let (name, glob) = glob.split_once('=').unwrap_or(("test", glob));
    let parts = Part::ALL.iter();
    if let Some((_, part)) = parts.clone().find(|(part, _)| *part == name) {
        return Ok((*part, WildMatch::new(glob)));
    }
    Err(format!("a filter has no `{name}`{}", did_you_mean(name, parts.map(|(part, _)| *part))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(globs: &[&str]) -> Filter {
        Filter::parse(&globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn globs_on_the_same_part_are_alternatives_and_parts_must_all_match() {
        let filter = filter(&["action=update*", "action=delete?", "file=*product*"]);
        assert!(filter.admits(Part::Action, "updateProduct"));
        assert!(filter.admits(Part::Action, "deleteX"));
        assert!(!filter.admits(Part::Action, "deleteProduct"));
        assert!(filter.admits(Part::File, "tests/policies/product.test.yaml"));
        assert!(filter.admits(Part::Principal, "anybody"));
        assert!(Filter::default().is_empty());
    }

    #[test]
    fn a_glob_alone_is_about_the_name_of_a_test() {
        assert!(filter(&["admins *"]).admits(Part::Test, "admins manage products"));
        assert!(!filter(&["admins"]).admits(Part::Test, "admins manage products"));
        assert_eq!(
            Filter::parse(&["acton=x".to_owned()]).unwrap_err(),
            "a filter has no `acton`: did you mean `action`?"
        );
    }
}
