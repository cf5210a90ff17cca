//! The ARN of the method that is asked for: what an answer names, byte for byte.

/// The service of API Gateway's methods.
const SERVICE: &str = "execute-api";

/// `arn:<partition>:execute-api:<region>:<account>:<api>/<stage>/<METHOD>/<path>`. An answer may repeat it as
/// the resource of a policy of IAM.
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
    /// It is not that of one method, whatever its path: API Gateway writes all of it but the path, which is the
    /// client's.
    pub fn parse(text: &str) -> Result<Self, ArnFault> {
        let mut parts = text.splitn(6, ':');
        let heads = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
        let [Some("arn"), Some(partition), Some(SERVICE), Some(region), Some(account)] = heads else {
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
        [partition, region, account, api, stage, method].into_iter().try_for_each(exact)?;
        let path = format!("/{}", path.unwrap_or_default());
        Ok(Self { text: text.to_owned(), method: method.to_owned(), path })
    }

    /// As it came.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As the resource of a policy that is about this method alone.
    ///
    /// # Errors
    /// IAM would read the path as a pattern.
    pub fn resource(&self) -> Result<&str, ArnFault> {
        exact(&self.path).map(|()| self.as_str())
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

fn exact(text: &str) -> Result<(), ArnFault> {
    if text.contains(['*', '?']) || text.contains("${") {
        return Err(ArnFault::Pattern);
    }
    if text.contains(char::is_control) {
        return Err(ArnFault::Control);
    }
    Ok(())
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
        for pattern in ["a/s/*/p", "*/s/GET/p", "a/s?/GET/p", "a/${aws:username}/GET/p"] {
            assert_eq!(arn(pattern), Err(ArnFault::Pattern), "{pattern}");
        }
        assert_eq!(arn("a/s\n/GET/p"), Err(ArnFault::Control));
        for shape in ["", "*", "a", "a/s", "a//GET/p", "/s/GET/p", "a/s//p"] {
            assert_eq!(arn(shape), Err(ArnFault::Shape), "{shape}");
        }
        assert_eq!(MethodArn::parse("arn:aws:s3:::bucket/a/GET/b"), Err(ArnFault::Shape));
    }

    #[test]
    fn whatever_the_client_put_into_the_path_no_policy_is_about_a_pattern() {
        let arn = |path: &str| MethodArn::parse(&format!("arn:aws:execute-api:r:1:a/s/GET/{path}")).unwrap();
        for pattern in ["*", "p?", "a/*/b", "${aws:username}"] {
            assert_eq!(arn(pattern).resource(), Err(ArnFault::Pattern), "{pattern}");
            assert_eq!(arn(pattern).path(), format!("/{pattern}"));
        }
        assert_eq!(arn("p\n").resource(), Err(ArnFault::Control));
        let plain = arn("p%2A");
        assert_eq!(plain.resource(), Ok(plain.as_str()));
    }
}
