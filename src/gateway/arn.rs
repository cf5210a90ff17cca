//! The ARN of the method that is asked for: what an answer names, byte for byte.

/// The service of API Gateway's methods.
const SERVICE: &str = "execute-api";

/// `arn:<partition>:execute-api:<region>:<account>:<api>/<stage>/<METHOD>/<path>`. An answer repeats it as the
/// resource of a policy of IAM, so one that IAM would read as a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodArn {
    text: String,
    method: String,
    path: String,
}

/// Why an ARN is not that of one method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArnFault {
    /// It is built in another way.
    #[error("it is not `arn:…:execute-api:<region>:<account>:<api>/<stage>/<METHOD>/<path>`")]
    Shape,
    /// `*`, `?` or `${`.
    #[error("it holds `*`, `?` or `${{`, and would name more than one method")]
    Pattern,
    /// A character that is not for reading.
    #[error("it holds a control character")]
    Control,
}

impl MethodArn {
    /// Takes an ARN apart.
    ///
    /// # Errors
    /// It is not that of one method.
    pub fn parse(text: &str) -> Result<Self, ArnFault> {
        if text.contains(['*', '?']) || text.contains("${") {
            return Err(ArnFault::Pattern);
        }
        if text.contains(char::is_control) {
            return Err(ArnFault::Control);
        }
        let mut parts = text.splitn(6, ':');
        let heads = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
        let [Some("arn"), Some(_), Some(SERVICE), Some(_), Some(_)] = heads else {
            return Err(ArnFault::Shape);
        };
        let mut method = parts.next().ok_or(ArnFault::Shape)?.splitn(4, '/');
        let (Some(api), Some(stage), Some(method), path) =
            (method.next(), method.next(), method.next(), method.next())
        else {
            return Err(ArnFault::Shape);
        };
        if [api, stage, method].iter().any(|part| part.is_empty()) {
            return Err(ArnFault::Shape);
        }
        let path = format!("/{}", path.unwrap_or_default());
        Ok(Self { text: text.to_owned(), method: method.to_owned(), path })
    }

    /// As it came.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `GET`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path below the stage, with the slash before it; judged by nobody yet.
    pub fn path(&self) -> &str {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_taken_out_of_its_arn() {
        let text = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3/$default/GET/products/p:1";
        let arn = MethodArn::parse(text).unwrap();
        assert_eq!((arn.as_str(), arn.method(), arn.path()), (text, "GET", "/products/p:1"));
        let root = MethodArn::parse("arn:aws-cn:execute-api:cn-north-1:1:a1/dev/POST/").unwrap();
        assert_eq!((root.method(), root.path()), ("POST", "/"));
    }

    #[test]
    fn what_would_name_more_than_one_method_is_refused() {
        let arn = |end: &str| MethodArn::parse(&format!("arn:aws:execute-api:r:1:{end}"));
        for pattern in ["a/s/GET/*", "a/s/*/p", "a/s/GET/p?", "a/s/GET/${aws:username}", "*"] {
            assert_eq!(arn(pattern), Err(ArnFault::Pattern), "{pattern}");
        }
        assert_eq!(arn("a/s/GET/p\n"), Err(ArnFault::Control));
        for shape in ["", "a", "a/s", "a//GET/p", "/s/GET/p", "a/s//p"] {
            assert_eq!(arn(shape), Err(ArnFault::Shape), "{shape}");
        }
        assert_eq!(MethodArn::parse("arn:aws:s3:::bucket/a/GET/b"), Err(ArnFault::Shape));
    }
}
