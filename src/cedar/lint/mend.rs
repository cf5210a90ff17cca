//! Mends what needs no thought: the fixes of findings, put into the texts until none is left.

use super::{Checked, Project, check};
use crate::cedar::{Source, Sources};
use crate::model::{Finding, Fix, Limits};

/// So often is what was mended checked again: mending one name can bring up another.
const PASSES: usize = 16;

/// What mending comes to. Nothing has been written yet.
#[derive(Debug)]
pub struct Mended {
    /// The sources with every fix in them.
    pub sources: Sources,
    /// The files of policies that have changed, with how many fixes are in each.
    pub changed: Vec<(Source, usize)>,
    /// What is found in them.
    pub checked: Checked,
}

/// Checks, and puts the fixes into the policies. Blocks until it is done.
pub fn mend(sources: &Sources, limits: &Limits, project: &Project) -> Mended {
    let mut mended =
        Mended { sources: sources.clone(), changed: Vec::new(), checked: check(sources, limits, project) };
    let mut fixes = vec![0; sources.policies.len()];
    for _ in 0..PASSES {
        let mut any = false;
        for (source, fixes) in mended.sources.policies.iter_mut().zip(&mut fixes) {
            let made = put_into(source, &mended.checked.findings);
            *fixes += made;
            any |= made > 0;
        }
        if !any {
            break;
        }
        mended.checked = check(&mended.sources, limits, project);
    }
    let counted = mended.sources.policies.iter().zip(fixes);
    mended.changed =
        counted.filter(|(_, fixes)| *fixes > 0).map(|(source, fixes)| (source.clone(), fixes)).collect();
    mended
}

/// Puts the fixes of one file into it, from its end to its beginning, so that places stay true.
fn put_into(source: &mut Source, found: &[Finding]) -> usize {
    let of_file = found.iter().filter(|finding| finding.path == source.path);
    let mut fixes: Vec<&Fix> = of_file.filter_map(|finding| finding.fix.as_ref()).collect();
    fixes.sort_unstable_by_key(|fix| (fix.place.offset, fix.place.length));
    fixes.dedup();
    let mut text = source.text.to_string();
    let (mut made, mut end) = (0, text.len() + 1);
    for fix in fixes.into_iter().rev() {
        let range = fix.place.offset..fix.place.offset + fix.place.length;
        // Two changes of one place: the next pass sees what is left of it.
        if range.end < end && text.is_char_boundary(range.start) && text.is_char_boundary(range.end) {
            end = range.start;
            text.replace_range(range, &fix.replacement);
            made += 1;
        }
    }
    source.text = text.into();
    made
}
