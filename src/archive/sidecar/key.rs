//! What derived bytes are filed under: a segment's identity, and what was derived from it.

use crate::archive::name::{SegmentKind, SegmentName};
use crate::archive::{Archive, Segment};
use crate::base::id::MAX_NAME_BYTES;
use crate::base::{Channel, Error, Hour, Quality, Result};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// The longest variant, in bytes; it is part of a file's name.
const MAX_VARIANT: usize = 64;

/// Base64 digits of a SHA-256 without padding.
const HASH_DIGITS: usize = 43;

/// What was derived: a kind of bytes in one version of its format, and which of several where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Product<'a> {
    kind: &'static str,
    format: u32,
    variant: &'a str,
}

impl Product<'static> {
    /// `kind` is a word of small letters. Bytes of another `format` are never found: raise it with every change.
    ///
    /// # Panics
    /// Where `kind` is no such word; in a constant, while compiling.
    pub const fn new(kind: &'static str, format: u32) -> Self {
        let word = kind.as_bytes();
        let mut at = 0;
        assert!(!word.is_empty() && word.len() <= 32, "a kind has 1 to 32 letters");
        while at < word.len() {
            assert!(word[at].is_ascii_lowercase(), "a kind is a word of small letters");
            at += 1;
        }
        Self { kind, format, variant: "" }
    }
}

impl Product<'_> {
    /// The same kind with other settings, such as `160x90`: at most 64 ASCII letters, digits, `_` and `.`. Each
    /// variant of an hour is a file, so callers that take sizes from a request offer few of them.
    ///
    /// # Errors
    /// [`crate::base::Kind::Internal`] where `variant` is no such word.
    pub fn variant<'b>(&self, variant: &'b str) -> Result<Product<'b>> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        if variant.len() > MAX_VARIANT || !variant.bytes().all(plain) {
            return Err(Error::internal("a sidecar cannot be named").with_cause(format!("{variant:?}")));
        }
        Ok(Product { kind: self.kind, format: self.format, variant })
    }
}

/// What tells one content of a file from another where its name does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stamp {
    pub(super) size: u64,
    /// Nanoseconds since 1970, within the range of an `i64`.
    pub(super) modified: i64,
}

impl Stamp {
    pub fn of(facts: &Metadata) -> Self {
        Self::from_parts(facts.len(), facts.mtime(), facts.mtime_nsec())
    }

    fn from_parts(size: u64, seconds: i64, nanos: i64) -> Self {
        Self { size, modified: seconds.saturating_mul(1_000_000_000).saturating_add(nanos) }
    }
}

/// Which bytes. Two keys are alike where segment, its content and the product are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    channel: &'a Channel,
    quality: &'a Quality,
    hour: Hour,
    pub(super) name: &'a str,
    pub(super) stamp: Stamp,
    product: Product<'a>,
}

impl<'a> Key<'a> {
    /// The key of a segment that was selected. The file is looked at only where its name does not vouch for its
    /// content.
    ///
    /// # Errors
    /// [`crate::base::Kind::NotFound`] where it had to be looked at and is gone.
    pub fn of(archive: &Archive, segment: &'a Segment, product: Product<'a>) -> Result<Self> {
        let stamp = if vouches(segment.kind(), segment.hash()) {
            Stamp::default()
        } else {
            let facts = archive.root.stat_file(&segment.relative_path())?;
            let facts = facts.ok_or_else(|| Error::not_found("the segment is gone"))?;
            // The widths of these fields differ between systems.
            #[allow(clippy::unnecessary_cast)]
            Stamp::from_parts(facts.st_size as u64, facts.st_mtime as i64, facts.st_mtime_nsec as i64)
        };
        let (channel, quality) = (segment.channel(), segment.quality());
        Ok(Self { channel, quality, hour: segment.hour(), name: segment.name(), stamp, product })
    }

    /// The key of the file `name` in the folder of `hour`. `look` is asked for the file's stamp only where its
    /// name does not vouch for its content.
    ///
    /// # Errors
    /// What `look` says; [`crate::base::Kind::Internal`] for a name no file can have.
    pub fn named(
        channel: &'a Channel,
        quality: &'a Quality,
        hour: Hour,
        name: &'a str,
        product: Product<'a>,
        look: impl FnOnce() -> Result<Stamp>,
    ) -> Result<Self> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(Error::internal("a sidecar cannot be named").with_cause(name));
        }
        let vouched = SegmentName::parse(hour, name).is_ok_and(|name| vouches(name.kind, name.hash));
        let stamp = if vouched { Stamp::default() } else { look()? };
        Ok(Self { channel, quality, hour, name, stamp, product })
    }

    /// The pack the bytes lie in, below the cache's folder, `/` between folders:
    /// `channel/quality/2024-11-09/13.index-1.pack`.
    pub(super) fn pack(&self) -> String {
        let hour = self.hour.to_string();
        let (day, hour) = hour.split_once('T').unwrap_or((&hour, ""));
        let Product { kind, format, variant } = self.product;
        let dash = if variant.is_empty() { "" } else { "-" };
        format!("{}/{}/{day}/{hour}.{kind}-{format}{dash}{variant}.pack", self.channel, self.quality)
    }

    pub(super) fn same_pack(&self, other: &Self) -> bool {
        self.hour == other.hour
            && self.product == other.product
            && self.quality == other.quality
            && self.channel == other.channel
    }
}

/// True where a name cannot stay the same when the content changes: a whole segment named by its SHA-256.
/// Suspect and partial files may still grow under a writer that is not Moviola.
fn vouches(kind: SegmentKind, hash: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    kind == SegmentKind::Full && hash.len() == HASH_DIGITS && hash.bytes().all(digit)
}
