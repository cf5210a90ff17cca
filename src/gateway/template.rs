//! `/products/{id}`: which paths a route is for, and what it reads out of them.

use std::collections::BTreeMap;

use super::path::Path;

/// A path with parameters in the place of some segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// What a path has at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// This, byte for byte.
    Literal(String),
    /// Anything, under this name.
    Parameter(String),
}

/// A segment that a path has in the place of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<'path> {
    /// As it came.
    pub raw: &'path str,
    /// Decoded, once.
    pub decoded: &'path str,
}

/// The parameters of a path, by name.
pub type Parameters<'a> = BTreeMap<&'a str, Given<'a>>;

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// It is no absolute path.
    #[error("does not begin with `/`")]
    Relative,
    /// `//`, or a slash at the end.
    #[error("has an empty segment")]
    EmptySegment,
    /// `{proxy+}`.
    #[error("has the greedy parameter `{{{0}+}}`: what it stands for cannot name one resource")]
    Greedy(String),
    /// Neither a parameter nor plain.
    #[error("has the segment `{0}`, which is neither a parameter `{{name}}` nor letters, digits and `-._~`")]
    Segment(String),
    /// One name for two places.
    #[error("names the parameter `{0}` twice")]
    Twice(String),
}

/// How two templates stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// No path matches both.
    None,
    /// One of them has literals in the place of the other's parameters, and is meant where both match, as API
    /// Gateway itself has it.
    Nested,
    /// Some path matches both, and nothing says which is meant.
    Ambiguous,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, TemplateFault> {
        let segments = text.strip_prefix('/').ok_or(TemplateFault::Relative)?;
        if segments.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let template = Self(segments.split('/').map(Part::parse).collect::<Result<_, _>>()?);
        let names: Vec<_> = template.parameters().collect();
        match names.iter().enumerate().find(|(index, name)| names.iter().take(*index).any(|one| one == *name))
        {
            Some((_, name)) => Err(TemplateFault::Twice((*name).to_owned())),
            None => Ok(template),
        }
    }

    /// The names of its parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Parameter(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// What a path has in the place of the parameters, if it matches. Literals are compared as they came: an
    /// encoded one is another path.
    pub fn read<'a>(&'a self, path: &'a Path) -> Option<Parameters<'a>> {
        let segments = path.segments();
        if segments.len() != self.0.len() {
            return None;
        }
        let mut parameters = Parameters::new();
        for (part, segment) in self.0.iter().zip(segments) {
            match part {
                Part::Literal(literal) if *literal == segment.raw => {}
                Part::Literal(_) => return None,
                Part::Parameter(name) => {
                    parameters.insert(name, Given { raw: &segment.raw, decoded: &segment.decoded });
                }
            }
        }
        Some(parameters)
    }

    /// How it stands to another.
    pub fn overlap(&self, other: &Self) -> Overlap {
        if self.0.len() != other.0.len() {
            return Overlap::None;
        }
        let (mut more_literal, mut less_literal) = (false, false);
        for pair in self.0.iter().zip(&other.0) {
            match pair {
                (Part::Literal(one), Part::Literal(other)) if one != other => return Overlap::None,
                (Part::Literal(_), Part::Literal(_)) | (Part::Parameter(_), Part::Parameter(_)) => {}
                (Part::Literal(_), Part::Parameter(_)) => more_literal = true,
                (Part::Parameter(_), Part::Literal(_)) => less_literal = true,
            }
        }
        if more_literal == less_literal { Overlap::Ambiguous } else { Overlap::Nested }
    }

    /// How many of its segments are literals: of nested templates the one with more is meant.
    pub fn literals(&self) -> usize {
        self.0.iter().filter(|part| matches!(part, Part::Literal(_))).count()
    }
}

impl Part {
    fn parse(segment: &str) -> Result<Self, TemplateFault> {
        let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        let word =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        match name {
            _ if segment.is_empty() => Err(TemplateFault::EmptySegment),
            Some(name) if name.ends_with('+') => {
                Err(TemplateFault::Greedy(name.trim_end_matches('+').to_owned()))
            }
            Some(name) if !name.is_empty() && word(name) => Ok(Self::Parameter(name.to_owned())),
            None if word(segment) && segment != "." && segment != ".." => {
                Ok(Self::Literal(segment.to_owned()))
            }
            Some(_) | None => Err(TemplateFault::Segment(segment.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::path::Handed;
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    #[test]
    fn a_template_reads_parameters_out_of_a_path() {
        let template = template("/categories/{category}/products/{id}");
        let path = Path::parse("/categories/c-7/products/p%40", Handed::Encoded).unwrap();
        let parameters = template.read(&path).unwrap();
        assert_eq!(parameters["category"].decoded, "c-7");
        assert_eq!(parameters["id"], Given { raw: "p%40", decoded: "p@" });
        for other in
            ["/categories/c-7/products", "/categories/c-7/Products/p", "/categories/c-7/product%73/p"]
        {
            let path = Path::parse(other, Handed::Encoded).unwrap();
            assert_eq!(template.read(&path), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (text, fault) in [
            ("", TemplateFault::Relative),
            ("products", TemplateFault::Relative),
            ("/products/", TemplateFault::EmptySegment),
            ("/{proxy+}", TemplateFault::Greedy("proxy".to_owned())),
            ("/p-{id}", TemplateFault::Segment("p-{id}".to_owned())),
            ("/{}", TemplateFault::Segment("{}".to_owned())),
            ("/a/*", TemplateFault::Segment("*".to_owned())),
            ("/..", TemplateFault::Segment("..".to_owned())),
            ("/caf%C3%A9", TemplateFault::Segment("caf%C3%A9".to_owned())),
            ("/{id}/{id}", TemplateFault::Twice("id".to_owned())),
        ] {
            assert_eq!(Template::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn of_two_templates_one_is_meant_or_none() {
        for (one, other, overlap) in [
            ("/products/{id}", "/products/{name}", Overlap::Ambiguous),
            ("/products/featured", "/products/featured", Overlap::Ambiguous),
            ("/products/featured", "/products/{id}", Overlap::Nested),
            ("/{kind}/featured", "/products/{id}", Overlap::Ambiguous),
            ("/products/{id}", "/categories/{id}", Overlap::None),
            ("/products/{id}", "/products", Overlap::None),
        ] {
            assert_eq!(template(one).overlap(&template(other)), overlap, "{one} {other}");
            assert_eq!(template(other).overlap(&template(one)), overlap, "{other} {one}");
        }
    }
}
