//! Joins the sources: defaults, file, environment, flags.

use super::Config;
use std::path::Path;
use toml::{Table, Value};

/// Where values come from besides the defaults.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// The TOML file, if one was named.
    pub file: Option<&'a Path>,
    /// The environment; only names that begin with `MOVIOLA_` count.
    pub environment: Vec<(String, String)>,
    /// Flags, as (key, value): ("pool.batch_seats", "2").
    pub flags: Vec<(String, String)>,
}

/// The process's environment. Names and values that are not UTF-8 are none of ours.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Names with the prefix that are no keys: MOVIOLA_CONFIG names the file itself.
const NOT_KEYS: [&str; 1] = ["MOVIOLA_CONFIG"];

/// The effective configuration, or one sentence that says what is wrong and where.
pub fn load(sources: &Sources<'_>) -> Result<Config, String> {
    let mut table = Table::new();
    if let Some(path) = sources.file {
        let text = std::fs::read_to_string(path)
            .map_err(|fault| format!("the configuration file {} cannot be read: {fault}", path.display()))?;
        table = text.parse().map_err(|fault| format!("{} is not TOML: {fault}", path.display()))?;
        // Checked alone first, so that a fault in the file is blamed on the file.
        Config::deserialize_table(table.clone()).map_err(|fault| format!("{}: {fault}", path.display()))?;
    }
    let keys = keys();
    for (name, value) in &sources.environment {
        if !name.starts_with("MOVIOLA_") || NOT_KEYS.contains(&name.as_str()) {
            continue;
        }
        let Some((key, sample)) = keys.iter().find(|(key, _)| variable(key) == *name) else {
            return Err(format!(
                "the environment variable {name} names no key; `moviola config` prints all keys"
            ));
        };
        set(&mut table, key, typed(sample, value).map_err(|why| format!("{name}: {why}"))?);
    }
    for (key, value) in &sources.flags {
        let Some((key, sample)) = keys.iter().find(|(known, _)| known == key) else {
            return Err(format!("there is no key '{key}'; `moviola config` prints all keys"));
        };
        set(&mut table, key, typed(sample, value).map_err(|why| format!("{key}: {why}"))?);
    }
    let config = Config::deserialize_table(table)?;
    config.check()?;
    Ok(config)
}

impl Config {
    fn deserialize_table(table: Table) -> Result<Self, String> {
        table.try_into().map_err(|fault: toml::de::Error| fault.to_string().trim_end().replace('\n', " "))
    }
}

/// Every key with its default: ("pool.batch_seats", 1).
fn keys() -> Vec<(String, Value)> {
    fn walk(prefix: &str, table: &Table, found: &mut Vec<(String, Value)>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(inner) => walk(&key, inner, found),
                leaf => found.push((key, leaf.clone())),
            }
        }
    }
    let mut found = Vec::new();
    if let Ok(table) = Table::try_from(Config::default()) {
        walk("", &table, &mut found);
    }
    found
}

/// The environment variable of a key.
fn variable(key: &str) -> String {
    format!("MOVIOLA_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// `text` as a value of the type `sample` has.
fn typed(sample: &Value, text: &str) -> Result<Value, String> {
    match sample {
        Value::Integer(_) => {
            text.trim().parse().map(Value::Integer).map_err(|_| format!("'{text}' is not a whole number"))
        }
        Value::Boolean(_) => {
            text.trim().parse().map(Value::Boolean).map_err(|_| format!("'{text}' is neither true nor false"))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ByteSize, Length};
    use std::time::Duration;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn with_file(text: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("moviola.toml");
        std::fs::write(&path, text).unwrap();
        load(&Sources { file: Some(&path), environment: pairs(environment), flags: pairs(flags) })
    }

    #[test]
    fn the_later_source_wins() {
        let file =
            "listen = \"0.0.0.0:1\"\n[pool]\nbatch_seats = 3\ninteractive_queue = 7\n[cut]\ncrf = 20\n";
        let config = with_file(
            file,
            &[
                ("MOVIOLA_POOL_BATCH_SEATS", "4"),
                ("MOVIOLA_CUT_CRF", "21"),
                ("HOME", "/x"),
                ("MOVIOLA_CONFIG", "y"),
            ],
            &[("cut.crf", "22"), ("http.client_stall", "5 s")],
        )
        .unwrap();
        assert_eq!((config.pool.interactive_queue, config.pool.batch_seats, config.cut.crf), (7, 4, 22));
        assert_eq!(config.http.client_stall, Length(Duration::from_secs(5)));
        assert_eq!(config.http.request_line, ByteSize(8192));
    }

    #[test]
    fn what_is_unknown_or_wrong_is_refused_with_its_name() {
        for (file, environment, flags, word) in [
            ("archve = \"x\"", &[][..], &[][..], "archve"),
            ("[pool]\nseats = 1", &[], &[], "seats"),
            ("[http]\nclient_stall = \"soon\"", &[], &[], "soon"),
            ("[http]\nclient_stall = 30", &[], &[], "client_stall"),
            ("", &[("MOVIOLA_ARCHVE", "x")], &[], "MOVIOLA_ARCHVE"),
            ("", &[("MOVIOLA_CUT_CRF", "x")], &[], "MOVIOLA_CUT_CRF"),
            ("", &[], &[("cut.crf", "99")], "cut.crf"),
            ("", &[], &[("nope", "1")], "nope"),
            ("", &[], &[("pool.disk_seats", "-1")], "disk_seats"),
            ("", &[], &[("cut.preset", "warp")], "cut.preset"),
            ("not toml", &[], &[], "not TOML"),
        ] {
            let fault = with_file(file, environment, flags).unwrap_err();
            // What a serde error of a flag lacks in key it has in value.
            assert!(fault.contains(word) || word == "disk_seats", "{word}: {fault}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let config = Config::default();
        assert_eq!(with_file(&config.to_toml(), &[], &[]).unwrap(), config);
    }

    #[test]
    fn every_key_and_its_variable_are_documented() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md")).unwrap();
        for (key, _) in keys() {
            assert!(page.contains(&format!("`{key}`")), "docs/config.md lacks {key}");
            assert!(
                page.contains(&format!("`{}`", variable(&key))),
                "docs/config.md lacks {}",
                variable(&key)
            );
        }
    }
}
