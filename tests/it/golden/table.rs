//! The deliberate differences of docs/api.md: a table a program can read.
//!
//! `| ids | here | there | why |`. `ids` are entries of the record, separated by commas: `cut-012`, `cut-02*`,
//! `cut-012..cut-019`; or `all`, for what is never compared (the row then only explains). `here` begins with a
//! code span: a status (`` `400` ``), which must be the status Moviola gives and covers whatever else differs in
//! that answer, or the name of what differs (`` `body` ``), which covers that alone.

#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub ids: Vec<Ids>,
    pub here: Here,
    /// The status the record must have, where `there` begins with one.
    pub there: Option<u16>,
    pub line: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Ids {
    All,
    One(String),
    /// Everything that begins so.
    Prefix(String),
    /// `group-first` to `group-last`.
    Range(String, u32, u32),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Here {
    Status(u16),
    Aspect(String),
}

impl Row {
    /// A row about what is never compared.
    pub fn explains(&self) -> bool {
        self.ids == [Ids::All]
    }

    pub fn names(&self, id: &str) -> bool {
        self.ids.iter().any(|ids| match ids {
            Ids::All => false,
            Ids::One(one) => one == id,
            Ids::Prefix(prefix) => id.starts_with(prefix.as_str()),
            Ids::Range(group, first, last) => {
                split(id).is_some_and(|(other, number)| other == group && (*first..=*last).contains(&number))
            }
        })
    }

    /// Whether this row covers a difference in `aspect` of entry `id`, answered `here` and recorded `there`.
    pub fn covers(&self, id: &str, aspect: &str, here: u16, there: u16) -> bool {
        self.names(id)
            && self.there.is_none_or(|status| status == there)
            && match &self.here {
                Here::Status(status) => *status == here,
                Here::Aspect(name) => name == aspect,
            }
    }
}

fn split(id: &str) -> Option<(&str, u32)> {
    let (group, number) = id.rsplit_once('-')?;
    Some((group, number.parse().ok()?))
}

fn parse_ids(cell: &str) -> Result<Vec<Ids>, String> {
    cell.split(',')
        .map(|word| {
            let word = word.trim().trim_matches('`');
            if word == "all" {
                return Ok(Ids::All);
            }
            if let Some((first, last)) = word.split_once("..") {
                return match (split(first), split(last)) {
                    (Some((group, first)), Some((other, last))) if group == other && first < last => {
                        Ok(Ids::Range(group.to_owned(), first, last))
                    }
                    _ => Err(format!("`{word}` is no range of entries")),
                };
            }
            if let Some(prefix) = word.strip_suffix('*') {
                return match prefix.rsplit_once('-') {
                    Some((group, digits))
                        if !group.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) =>
                    {
                        Ok(Ids::Prefix(prefix.to_owned()))
                    }
                    _ => Err(format!("`{word}` is no beginning of an entry")),
                };
            }
            split(word).map(|_| Ids::One(word.to_owned())).ok_or_else(|| format!("`{word}` is no entry"))
        })
        .collect()
}

/// What stands in the code span a cell begins with.
fn leading_code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.split_once('`').map(|(code, _)| code)
}

/// The rows of the table under the heading "Deliberate differences".
pub fn parse(document: &str, aspects: &[&str]) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut inside = false;
    for (index, text) in document.lines().enumerate() {
        let line = index + 1;
        if text.starts_with('#') {
            inside = text.trim_start_matches('#').trim() == "Deliberate differences";
            continue;
        }
        if !inside || !text.starts_with('|') {
            continue;
        }
        let cells: Vec<&str> = text.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [ids, here, there, why] = cells[..] else {
            return Err(format!("line {line}: a row has four cells, this one {}", cells.len()));
        };
        if ids == "ids" || ids.starts_with("--") {
            continue;
        }
        if why.is_empty() {
            return Err(format!("line {line}: a difference needs its reason"));
        }
        let ids = parse_ids(ids).map_err(|error| format!("line {line}: {error}"))?;
        let here = match leading_code(here) {
            _ if ids == [Ids::All] => Here::Aspect("-".into()),
            Some(code) if code.len() == 3 && code.parse::<u16>().is_ok() => {
                Here::Status(code.parse().unwrap())
            }
            Some(code) if aspects.contains(&code) => Here::Aspect(code.to_owned()),
            _ => {
                return Err(format!(
                    "line {line}: `here` begins with a status or one of {aspects:?} in backticks"
                ));
            }
        };
        let there = leading_code(there).filter(|code| code.len() == 3).and_then(|code| code.parse().ok());
        rows.push(Row { ids, here, there, line });
    }
    if rows.is_empty() { Err("no table under a heading \"Deliberate differences\"".into()) } else { Ok(rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASPECTS: &[&str] = &["body", "json"];

    fn table(rows: &str) -> Result<Vec<Row>, String> {
        let text = format!(
            "| x | y |\n\n## Deliberate differences\n\n| ids | here | there | why |\n|---|---|---|---|\n{rows}\n\n## After\n| a |\n"
        );
        parse(&text.replace("|---|---|---|---|", "| --- | --- | --- | --- |"), ASPECTS)
    }

    #[test]
    fn rows_name_entries_one_by_one_by_prefix_and_by_range() {
        let rows =
            table("| cut-012, `cut-02*`, frame-001..frame-003 | `400` text | `500` | because |").unwrap();
        for id in ["cut-012", "cut-020", "cut-029", "frame-001", "frame-003"] {
            assert!(rows[0].covers(id, "status", 400, 500), "{id}");
        }
        for id in ["cut-01", "cut-013", "frame-004", "media-002"] {
            assert!(!rows[0].covers(id, "status", 400, 500), "{id}");
        }
    }

    #[test]
    fn a_status_row_covers_that_status_only_and_an_aspect_row_that_aspect() {
        let rows =
            table("| cut-001 | `400` | `500` | x |\n| cut-002 | `body` re-encoded | other bytes | x |")
                .unwrap();
        assert!(rows[0].covers("cut-001", "headers", 400, 500));
        assert!(!rows[0].covers("cut-001", "status", 404, 500));
        assert!(!rows[0].covers("cut-001", "status", 400, 200));
        assert!(rows[1].covers("cut-002", "body", 200, 200));
        assert!(!rows[1].covers("cut-002", "status", 400, 200));
    }

    #[test]
    fn rows_for_all_only_explain() {
        let rows = table("| all | problem documents | HTML | x |").unwrap();
        assert!(rows[0].explains() && !rows[0].covers("cut-001", "body", 200, 200));
    }

    #[test]
    fn a_table_that_cannot_be_read_is_an_error() {
        for row in [
            "| cut-001 | `400` | `500` |",
            "| cut-001 | `400` | `500` | |",
            "| cut | `400` | `500` | x |",
            "| cut-* , | `400` | `500` | x |",
            "| * | `400` | `500` | x |",
            "| cut-005..cut-002 | `400` | `500` | x |",
            "| cut-001..frame-002 | `400` | `500` | x |",
            "| cut-001 | 400 | `500` | x |",
            "| cut-001 | `speed` | slow | x |",
        ] {
            assert!(table(row).is_err(), "{row}");
        }
        assert!(parse("# Nothing here", ASPECTS).is_err());
    }
}
