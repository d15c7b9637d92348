//! Who may watch: 256 bits each, from the system's source of randomness. Times are parameters.
//!
//! Invariant: a token is compared in a time that does not depend on how much of it is right, and is in no log.

use crate::base::{Error, Result};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::time::{Duration, Instant};

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Playlists, segments and parts.
    Live,
    /// Stills.
    Still,
    All,
}

impl Scope {
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "live" => Ok(Self::Live),
            "still" => Ok(Self::Still),
            "all" => Ok(Self::All),
            _ => Err(Error::invalid("invalid-scope", "scope", "scope must be one of: live, still, all")),
        }
    }

    fn opens(self, what: Self) -> bool {
        self == Self::All || self == what
    }
}

struct Held {
    text: String,
    scope: Scope,
    /// Dies then, used or not.
    until: Option<Instant>,
    used: Instant,
    /// The one that the stream itself tells of.
    own: bool,
}

impl Held {
    fn is_alive(&self, idle: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < idle && self.until.is_none_or(|until| now < until)
    }
}

/// The tokens of a stream.
pub struct Tokens {
    /// By their hashes, with a key that nobody knows.
    held: HashMap<u64, Held>,
    keys: RandomState,
    most: usize,
    idle: Duration,
}

/// The text is in no log, not even by chance.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} tokens", self.held.len())
    }
}

const BYTES: usize = 32;

impl Tokens {
    /// At most `most`; each dies when it is not used for `idle`.
    pub fn new(most: usize, idle: Duration) -> Self {
        Self { held: HashMap::new(), keys: RandomState::new(), most, idle }
    }

    fn clean(&mut self, now: Instant) {
        let idle = self.idle;
        self.held.retain(|_, it| it.is_alive(idle, now));
    }

    /// A new one.
    ///
    /// # Errors
    /// `busy` where there are as many as there may be.
    pub fn mint(&mut self, scope: Scope, limit: Option<Duration>, now: Instant) -> Result<String> {
        self.add(scope, limit, now, false)
    }

    /// The one that the stream tells of; made where there is none.
    pub fn own(&mut self, now: Instant) -> Result<String> {
        self.clean(now);
        match self.held.values().find(|it| it.own) {
            Some(it) => Ok(it.text.clone()),
            None => self.add(Scope::All, None, now, true),
        }
    }

    fn add(&mut self, scope: Scope, limit: Option<Duration>, now: Instant, own: bool) -> Result<String> {
        self.clean(now);
        if self.held.len() >= self.most {
            return Err(Error::busy("the stream has as many viewers' tokens as it may"));
        }
        let mut bytes = [0; BYTES];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut it| it.read_exact(&mut bytes))
            .map_err(|fault| Error::internal("no token could be made").with_cause(fault))?;
        let text: String = bytes.iter().map(|it| format!("{it:02x}")).collect();
        let until = limit.and_then(|it| now.checked_add(it));
        let word = self.keys.hash_one(&text);
        self.held.insert(word, Held { text: text.clone(), scope, until, used: now, own });
        Ok(text)
    }

    /// Whether this opens it; that counts as a use.
    pub fn opens(&mut self, text: &str, what: Scope, now: Instant) -> bool {
        // Those that died are swept when another one comes: to look at all would take longer than the answer.
        let idle = self.idle;
        let held = self.held.get_mut(&self.keys.hash_one(text));
        let held = held.filter(|it| same(&it.text, text) && it.is_alive(idle, now) && it.scope.opens(what));
        held.is_some_and(|it| {
            it.used = now;
            true
        })
    }

    /// Whether there was one.
    pub fn revoke(&mut self, text: &str) -> bool {
        let word = self.keys.hash_one(text);
        self.held.get(&word).is_some_and(|it| same(&it.text, text)) && self.held.remove(&word).is_some()
    }

    /// All of them are void from now on.
    pub fn clear(&mut self) {
        self.held.clear();
    }
}

/// Looks at every byte, wherever the first difference is.
fn same(one: &str, other: &str) -> bool {
    let different = one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(different) == 0 && one.len() == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_token_opens_what_it_is_for_as_long_as_it_is_used() {
        let mut all = Tokens::new(10, IDLE);
        let start = Instant::now();
        let token = all.mint(Scope::Live, None, start).unwrap();
        assert!(token.len() == 64 && token.bytes().all(|it| b"0123456789abcdef".contains(&it)));
        assert!(all.opens(&token, Scope::Live, start + 29 * SECOND));
        assert!(!all.opens(&token, Scope::Still, start + 50 * SECOND));
        assert!(all.opens(&token, Scope::Live, start + 58 * SECOND), "used 29 s ago");
        assert!(!all.opens(&token, Scope::Live, start + 88 * SECOND));
        assert!(!all.opens("", Scope::Live, start) && !all.opens(&token[..63], Scope::Live, start));
    }

    #[test]
    fn tokens_end_by_time_and_by_word() {
        let mut all = Tokens::new(2, IDLE);
        let start = Instant::now();
        let brief = all.mint(Scope::All, Some(2 * SECOND), start).unwrap();
        let other = all.mint(Scope::All, None, start).unwrap();
        assert_ne!(brief, other);
        assert_eq!(all.mint(Scope::All, None, start).unwrap_err().code, "busy");
        assert!(all.opens(&brief, Scope::Still, start + SECOND));
        assert!(!all.opens(&brief, Scope::Still, start + 2 * SECOND));
        assert!(all.revoke(&other) && !all.revoke(&other) && !all.opens(&other, Scope::Live, start));
    }

    #[test]
    fn a_stream_has_one_of_its_own_at_a_time() {
        let mut all = Tokens::new(2, IDLE);
        let start = Instant::now();
        let first = all.own(start).unwrap();
        assert_eq!(all.own(start + 29 * SECOND).unwrap(), first);
        let second = all.own(start + 30 * SECOND).unwrap();
        assert!(second != first && !all.opens(&first, Scope::Live, start + 30 * SECOND));
        assert!(!format!("{all:?}").contains(&second));
    }

    #[test]
    fn scopes_are_named() {
        assert_eq!(Scope::named("still").unwrap(), Scope::Still);
        assert_eq!(Scope::named("everything").unwrap_err().parameter.as_deref(), Some("scope"));
    }
}
