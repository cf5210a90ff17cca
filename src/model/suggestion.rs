//! "Did you mean": the known name that is nearest to an unknown one.

/// Names further apart than this have nothing to do with each other.
const NEAR: f64 = 0.75;

/// The candidate that is nearest to `name`, where one is near at all.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

/// `: did you mean `x`?`, or nothing; to be put behind a message.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |candidate| format!(": did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let actions = ["createProduct", "updateProduct", "deleteCategory"];
        assert_eq!(nearest("updateProdcut", actions), Some("updateProduct"));
        assert_eq!(nearest("UpdateProduct", actions), Some("updateProduct"));
        assert_eq!(nearest("xyz", actions), None);
        assert_eq!(did_you_mean("deleteCategry", actions), ": did you mean `deleteCategory`?");
    }
}
