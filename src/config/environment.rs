//! `PALISADE__…` variables laid over the file: two underscores a level.

use toml::{Table, Value};

use super::place::{in_our_words, meant};
use super::{CODE, Config, DEFAULT_FILE, Environment};
use crate::model::Finding;

/// What every variable of ours begins with. One underscore is somebody else's: Kubernetes injects
/// `PALISADE_PORT=tcp://…` for a Service of that name.
const PREFIX: &str = "PALISADE__";

/// The settings of the file with the variables over them, which are judged together, because one may need what
/// another sets. An error names the first variable that brings it about.
pub(super) fn overlay(text: &str, environment: &Environment) -> Result<Config, Box<Finding>> {
    let fault = |name: &str, message: String| Finding::error(&name.into(), CODE, message);
    let mut table: Table =
        text.parse().map_err(|error: toml::de::Error| Box::new(fault(DEFAULT_FILE, error.to_string())))?;
    let mut layers = vec![(DEFAULT_FILE, table.clone())];
    for (name, value) in ours(environment) {
        let keys: Vec<_> = keys(name).collect();
        set(&mut table, &keys, read(value)).map_err(|message| Box::new(fault(name, message)))?;
        layers.push((name, table.clone()));
    }
    table.try_into().map_err(|error: toml::de::Error| {
        let brings_it = |(_, table): &(&str, Table)| {
            table.clone().try_into::<Config>().is_err_and(|found| found.message() == error.message())
        };
        let name = layers.iter().find(|layer| brings_it(layer)).map_or(DEFAULT_FILE, |(name, _)| name);
        let finding = fault(name, in_our_words(error.message()));
        Box::new(match meant(error.message()) {
            Some((unknown, known)) => {
                finding.help(format!("did you mean `{}`?", corrected(name, unknown, known)))
            }
            None => finding,
        })
    })
}

/// The variable that sets a key, if one does.
pub(super) fn variable_of(key: &str, environment: &Environment) -> Option<String> {
    ours(environment)
        .map(|(name, _)| name)
        .find(|name| keys(name).collect::<Vec<_>>().join(".") == key)
        .map(str::to_owned)
}

fn ours(environment: &Environment) -> impl Iterator<Item = (&str, &str)> {
    environment
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// `server`, `ops_listen` of `PALISADE__SERVER__OPS_LISTEN`.
fn keys(name: &str) -> impl Iterator<Item = String> {
    name.strip_prefix(PREFIX).unwrap_or_default().split("__").map(str::to_lowercase)
}

/// As TOML where it looks like it, and else as the string that it is.
fn read(value: &str) -> Value {
    let toml = value.starts_with(['[', '{', '"'])
        || value == "true"
        || value == "false"
        || value.parse::<i64>().is_ok();
    let document = if toml { format!("value = {value}").parse::<Table>().ok() } else { None };
    document.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(value.to_owned()))
}

fn set(table: &mut Table, keys: &[String], value: Value) -> Result<(), String> {
    let [key, rest @ ..] = keys else { return Err("names no key".to_owned()) };
    let place = table.entry(key).or_insert_with(|| {
        if is_index(rest) { Value::Array(Vec::new()) } else { Value::Table(Table::new()) }
    });
    if rest.is_empty() {
        *place = value;
        return Ok(());
    }
    match (place, rest) {
        (Value::Table(table), _) => set(table, rest, value),
        (Value::Array(array), [index, rest @ ..]) if is_index(std::slice::from_ref(index)) => {
            let index: usize = index.parse().map_err(|_| format!("`{index}` is no index"))?;
            if index == array.len() && !rest.is_empty() {
                array.push(Value::Table(Table::new()));
            }
            let length = array.len();
            match (array.get_mut(index), rest) {
                (Some(place), []) => *place = value,
                (Some(Value::Table(table)), _) => return set(table, rest, value),
                (Some(_), _) => return Err(format!("`{key}.{index}` is no table")),
                (None, _) => {
                    return Err(format!("`{key}` has {length} elements, so the next index is {length}"));
                }
            }
            Ok(())
        }
        _ => Err(format!("`{key}` holds no further keys")),
    }
}

fn is_index(keys: &[String]) -> bool {
    keys.first().is_some_and(|key| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The name with the key that was meant.
fn corrected(name: &str, unknown: &str, known: &str) -> String {
    name.replacen(&unknown.to_uppercase(), &known.to_uppercase(), 1)
}
