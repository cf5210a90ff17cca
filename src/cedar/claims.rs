//! A claim's value read as the type that the schema declares: strict, and the same for every road.

use cedar_policy::RestrictedExpression;

use super::extension;
use super::schema::Type;
use crate::model::Value;

/// Whether a claim can become a value of this type at all. Entities cannot: a token that could
/// name them could name anything.
pub(super) fn convertible(ty: &Type) -> bool {
    match ty {
        Type::Bool | Type::Long | Type::String | Type::Extension(_) => true,
        Type::Set(element) => convertible(element),
        Type::Record(record) => record.0.values().all(|attribute| convertible(&attribute.ty)),
        Type::Entity(_) => false,
    }
}

/// Reads a claim. Cognito sends custom attributes as strings, so the strings `true`, `false` and
/// decimal integers count as booleans and numbers; nothing else is bent.
///
/// # Errors
/// What was expected, for a message that must not repeat the value.
pub(super) fn convert(value: &Value, ty: &Type) -> Result<RestrictedExpression, String> {
    let refused = || ty.expected();
    match (ty, value) {
        (Type::String, Value::String(text)) => Ok(RestrictedExpression::new_string(text.to_string())),
        (Type::Bool, Value::Bool(value)) => Ok(RestrictedExpression::new_bool(*value)),
        (Type::Bool, Value::String(text)) => match text.as_str() {
            "true" => Ok(RestrictedExpression::new_bool(true)),
            "false" => Ok(RestrictedExpression::new_bool(false)),
            _ => Err(refused()),
        },
        (Type::Long, Value::Long(value)) => Ok(RestrictedExpression::new_long(*value)),
        (Type::Long, Value::String(text)) => {
            integer(text).map(RestrictedExpression::new_long).ok_or_else(refused)
        }
        (Type::Set(element), Value::Set(values)) => values
            .iter()
            .map(|value| convert(value, element))
            .collect::<Result<Vec<_>, _>>()
            .map(RestrictedExpression::new_set),
        (Type::Extension(kind), Value::String(text)) => {
            extension::judge(*kind, text).map(|()| extension::expression(*kind, text)).map_err(|_| refused())
        }
        (Type::Record(declared), Value::Record(given)) => {
            let unknown = given.keys().any(|name| !declared.0.contains_key(name));
            let missing =
                declared.0.iter().any(|(name, member)| member.required && !given.contains_key(name));
            if unknown || missing {
                return Err(refused());
            }
            let members = given.iter().filter_map(|(name, value)| {
                let member = declared.0.get(name.as_str())?;
                Some(convert(value, &member.ty).map(|value| (name.to_string(), value)))
            });
            RestrictedExpression::new_record(members.collect::<Result<Vec<_>, _>>()?).map_err(|_| refused())
        }
        _ => Err(refused()),
    }
}

/// A decimal integer in its one canonical form: no sign but `-`, no leading zeros, no blanks.
fn integer(text: &str) -> Option<i64> {
    let value: i64 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

#[cfg(test)]
mod tests;
